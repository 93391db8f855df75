"""A call belongs to an owner: who is revoked gets no answer, no further call, and no open socket."""

import asyncio
import time

import pytest

from darumad.names import ItemId
from darumad.sim import Fault, Reply, Rule, When
from darumad.work.model import ModelFailed
from darumad.work.ports import Owner
from tests.agents.providers.desk import OWNER, Desk, ask, seen, turns

HANGS = [Fault(name="hang_headers"), Fault(name="hang_body", after=3)]


async def begun(desk: Desk, owner: Owner = OWNER, fault: Fault | None = HANGS[0]) -> "asyncio.Task[object]":
    desk.sim.play(Rule(id="hang", script=(Reply(text="word " * 60),), fault=fault))
    task = asyncio.ensure_future(desk.complete(owner)(ask()))
    await seen(desk.sim, lambda attempts: bool(attempts) and attempts[0].fault == fault.name)
    return task


@pytest.mark.parametrize("fault", HANGS, ids=lambda each: each.name)
async def test_a_revoke_closes_the_socket_as_the_server_sees_it(desk: Desk, vendor: str, fault: Fault) -> None:
    task = await begun(desk, fault=fault)
    revoked_at = time.monotonic()
    desk.broker.revoke(OWNER)
    with pytest.raises(ModelFailed) as raised:
        await task
    (attempt,) = await seen(desk.sim, lambda attempts: attempts[0].client_disconnected_at is not None)
    assert raised.value.kind == "cancelled"
    assert attempt.client_disconnected_at - revoked_at < 1.0  # a tenth on a quiet machine
    assert attempt.t_end is None


async def test_a_revoke_from_another_thread_works_as_well(desk: Desk) -> None:
    task = await begun(desk)
    await asyncio.to_thread(desk.broker.revoke, OWNER)
    with pytest.raises(ModelFailed, match="revoked"):
        await task


async def test_a_cancelled_task_closes_its_socket_and_is_settled_at_the_estimate(desk: Desk, vendor: str) -> None:
    task = await begun(desk)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await seen(desk.sim, lambda attempts: attempts[0].client_disconnected_at is not None)
    ((_, _, _, estimate),) = desk.books.reserved.values()
    (used,) = desk.books.used
    assert (used, used.calls, used.output_tokens) == (estimate, 1, 1_000)


@pytest.mark.parametrize("fault", HANGS, ids=lambda each: each.name)
async def test_a_revoke_and_a_cancel_at_once_close_the_socket_too(desk: Desk, vendor: str, fault: Fault) -> None:
    task = await begun(desk, fault=fault)
    desk.broker.revoke(OWNER)
    task.cancel()  # as the bridge ends a stage: the second must not break off what the first began
    with pytest.raises(asyncio.CancelledError):
        await task
    await seen(desk.sim, lambda attempts: attempts[0].client_disconnected_at is not None)


async def test_a_revoked_owner_is_refused_before_anything_is_sent(desk: Desk) -> None:
    desk.broker.revoke(OWNER)
    assert (await desk.failure()).kind == "cancelled"
    assert (desk.sim.attempts(), desk.books.reserved) == ((), {})


async def test_a_task_that_ignores_its_cancel_gets_no_further_call(desk: Desk) -> None:
    complete, ended = desk.complete(), list[str]()

    async def deaf() -> None:
        for number in range(3):
            try:
                await complete(ask(str(number)))
            except asyncio.CancelledError:
                ended.append("cancelled")
            except ModelFailed as failed:
                ended.append(failed.kind)

    desk.sim.play(Rule(id="hang", fault=HANGS[0]))
    task = asyncio.ensure_future(deaf())
    await seen(desk.sim, lambda attempts: len(attempts) == 1)
    desk.broker.revoke(OWNER)
    task.cancel()
    await task
    assert ended == ["cancelled"] * 3
    assert len(desk.sim.attempts()) == 1
    assert len(desk.books.reserved) == 1


async def test_a_revoke_holds_for_earlier_fences_and_not_for_later_ones(desk: Desk) -> None:
    desk.broker.revoke(Owner(ItemId("item"), 2))
    for fence in (1, 2):
        with pytest.raises(ModelFailed, match="revoked"):
            await desk.complete(Owner(ItemId("item"), fence))(ask())
    assert (await desk.complete(Owner(ItemId("item"), 3))(ask())).stop == "end"
    assert (await desk.complete(Owner(ItemId("other"), 1))(ask())).stop == "end"


async def test_a_revoke_takes_a_waiting_call_out_of_the_queue(desk: Desk) -> None:
    desk.change(concurrency=1)
    task = await begun(desk, Owner(ItemId("first"), 1))
    waiting = asyncio.ensure_future(desk.complete(OWNER)(ask()))
    await turns(lambda: bool(desk.broker._half.slots["anthropic"]._waiting))
    desk.broker.revoke(OWNER)
    with pytest.raises(ModelFailed, match="revoked"):
        await waiting
    desk.broker.revoke(Owner(ItemId("first"), 1))
    with pytest.raises(ModelFailed, match="revoked"):
        await task
    assert len(desk.sim.attempts()) == 1


async def test_a_slot_is_free_again_after_a_revoke(desk: Desk) -> None:
    desk.change(concurrency=1)
    task = await begun(desk)
    desk.broker.revoke(OWNER)
    with pytest.raises(ModelFailed):
        await task
    desk.sim.play()
    assert (await desk.complete(Owner(ItemId("next"), 1))(ask())).stop == "end"


async def test_a_revoke_while_the_money_is_being_reserved_ends_the_call_at_once(desk: Desk) -> None:
    desk.books.held = asyncio.Event()
    task = asyncio.ensure_future(desk.complete()(ask()))
    await desk.books.asked.wait()
    desk.broker.revoke(OWNER)
    with pytest.raises(ModelFailed, match="revoked"):
        await task
    assert (desk.books.reserved, desk.sim.attempts()) == ({}, ())


async def test_a_cancel_does_not_count_against_the_provider(desk: Desk) -> None:
    for fence in range(1, 5):
        owner = Owner(ItemId("item"), fence)
        task = await begun(desk, owner)
        desk.broker.revoke(owner)
        with pytest.raises(ModelFailed):
            await task
    assert {shown.state for shown in desk.broker.circuits().values()} == {"closed"}


async def test_an_empty_purse_stops_a_call_before_it_is_sent(desk: Desk) -> None:
    desk.books.without_money.add("anthropic")
    assert (await desk.failure()).kind == "budget_exhausted"
    assert desk.sim.attempts() == ()


async def test_closing_the_broker_ends_what_is_open(desk: Desk) -> None:
    task = await begun(desk)
    await desk.broker.close()
    with pytest.raises(ModelFailed) as raised:
        await task
    assert raised.value.kind == "cancelled"


def test_what_is_known_of_a_provider_outlives_the_loop(sim) -> None:
    desk = Desk(sim)
    sim.play(Rule(id="always", when=When(nth=(1, 2, 3)), fault=Fault(name="http_status", code=500)))

    async def fails() -> ModelFailed:
        try:
            return await desk.failure()
        finally:
            await desk.broker.close()

    assert asyncio.run(fails()).kind == "server_error"
    assert asyncio.run(fails()).kind == "local_saturation"
    desk.broker.renew("anthropic")

    async def answered() -> str:
        try:
            return (await desk.complete()(ask())).text
        finally:
            await desk.broker.close()

    assert asyncio.run(answered()) == "ack anthropic#1"
