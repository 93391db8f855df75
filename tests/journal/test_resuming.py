"""A killed run goes on behind the last step that was paid for, and what a tool did outside is not done again."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from darumad.agents.step_loop import Answer, BadArguments, OutsideTool, Tool, run_loop
from darumad.bridge.effects import Effects
from darumad.bridge.steps import Steps
from darumad.errors import Refused
from darumad.journal import STALE, EffectEnd, EffectStart, Held, Step
from darumad.journal.commits import Commits
from darumad.journal.requests import Outcome, Request
from darumad.names import Attempt, Fence, ItemId, Stage
from darumad.work.effects import EffectState, NothingDone
from darumad.work.model import Message, ModelFailed, ModelReply, ModelRequest, ToolCall, ToolSpec
from darumad.work.ports import Context
from darumad.work.result import Usage
from darumad.work.states import ParkReason, WorkState
from tests.journal.desk import DO, Desk, move, new_item

TURNS = 12
SPEC = ToolSpec(name="note", says="Writes it down.", schema={"type": "object"})


LIMIT = 1 << 20
"""Bytes that a step may return."""


class Killed(BaseException):
    """The process is gone."""


class Dying:
    """Posts to the journal until the process is killed: at its `last` request of one of these kinds."""

    def __init__(self, desk: Desk, kinds: tuple[type, ...], last: int, *, before: bool = False) -> None:
        self._desk = desk
        self._kinds = kinds
        self._left = last
        self._before = before

    def commits(self) -> Commits:
        return Commits(self.post, asyncio.get_running_loop())

    def post(self, request: Request, reply: Callable[[Sequence[Outcome]], None]) -> None:
        hit = isinstance(request, self._kinds)
        self._left -= hit
        if hit and self._left <= 0 and self._before:
            raise Killed
        self._desk.journal.post(request, reply)
        if hit and self._left <= 0:
            self._desk.call(request)  # behind it in the queue: the first is on disk by now
            raise Killed


class Model:
    """Wishes for a note in each turn but its last; no two of its replies are alike."""

    model = "a:model"

    def __init__(self, turns: int = TURNS, wish: str = "note") -> None:
        self.turns = turns
        self.wish = wish
        self.asked: list[int] = []

    async def __call__(self, request: ModelRequest) -> ModelReply:
        turn = sum(each.role == "assistant" for each in request.messages) + 1
        self.asked.append(turn)
        used = Usage(input_tokens=1, calls=1)
        if turn == self.turns:
            return ModelReply(text=f"done {secrets.token_hex(8)}", usage=used)
        wished = ToolCall(id=f"call-{turn}", name=self.wish, arguments={"turn": turn})
        return ModelReply(text=secrets.token_hex(8), calls=(wished,), stop="tools", usage=used)


class Notes:
    """A tool that counts what it did."""

    def __init__(self) -> None:
        self.made: list[Any] = []

    async def run(self, arguments: Any, key: str = "") -> str:
        self.made.append((arguments["turn"], key) if key else arguments["turn"])
        return secrets.token_hex(8)

    def tool(self) -> Tool:
        return Tool(SPEC, self.run)


@pytest.fixture
def held(desk: Desk) -> Held:
    desk.submit(new_item("a", stages=(DO,)))
    return desk.claim_one(DO)


async def loop(held: Held, commits: Commits, model: Model, *tools: Any, system: str = "") -> Answer:
    steps = Steps(held, commits, LIMIT)
    context = Context(
        stage=Stage.EXECUTING,
        attempt=Attempt(held.record.attempt),
        place=Path(),
        steps=steps,
        effects=Effects(held, commits, steps),
        complete=model,
        progress=lambda: None,
    )
    request = ModelRequest(messages=(Message(role="user", text="go"),), system=system)
    return await run_loop(request, tools, context)


def living(desk: Desk) -> Commits:
    return Commits(desk.journal.post, asyncio.get_running_loop())


def next_life(desk: Desk) -> Held:
    """The process was killed; the daemon is started again and claims what it finds."""
    desk.die()
    desk.open()
    desk.clock.advance(60)
    return desk.claim_one(DO)


@pytest.mark.parametrize("before", [False, True], ids=["after each step", "between each reply and its step"])
async def test_a_run_killed_again_and_again_calls_the_model_once_a_turn_and_once_more_a_kill(
    desk: Desk, held: Held, before: bool
) -> None:
    model, notes, kills = Model(), Notes(), 0
    while True:
        mortal = Dying(desk, (Step,), 2 if before else 1, before=before)
        try:
            answer = await loop(held, mortal.commits(), model, notes.tool())
        except Killed:
            kills += 1
            held = next_life(desk)
        else:
            break
    assert kills == 2 * TURNS - 1 - before, "each step of the walk was hit"
    assert Counter(model.asked).keys() == set(range(1, TURNS + 1))
    assert len(model.asked) == TURNS if not before else len(model.asked) <= TURNS + kills
    replies = [each["output"] for each in desk.reader.steps(ItemId("a")) if each["kind"] == "think"]
    assert len(replies) == TURNS
    assert answer.text == replies[-1]["text"], "no reply of one life is mixed with those of another"
    assert desk.record("a").attempt == 1


async def test_a_retry_after_a_failure_replays_nothing_and_a_rescue_everything(desk: Desk, held: Held) -> None:
    model, notes = Model(), Notes()
    await loop(held, living(desk), model, notes.tool())
    held = next_life(desk)
    await loop(held, living(desk), model, notes.tool())
    assert len(model.asked) == TURNS
    desk.call(move(held, WorkState.SCHEDULED, run_at=0, failures=1, ends_attempt=True, reason="backoff"))
    desk.release("a")
    await loop(desk.claim_one(DO), living(desk), model, notes.tool())
    assert len(model.asked) == 2 * TURNS
    assert notes.made == 2 * list(range(1, TURNS))


async def test_a_changed_prompt_ends_the_replay_and_its_steps_take_the_place_of_the_recorded(
    desk: Desk, held: Held
) -> None:
    model = Model()
    await loop(held, living(desk), model, Notes().tool())
    recorded = [each["output"] for each in desk.reader.steps(ItemId("a"))]
    held = next_life(desk)
    model.turns = 3
    await loop(held, living(desk), model, Notes().tool(), system="think otherwise")
    steps = desk.reader.steps(ItemId("a"))
    assert len(model.asked) == TURNS + 3
    assert [each["seq"] for each in steps] == [1, 2, 3, 4, 5], "what stood behind belongs to another walk"
    assert not [each for each in steps if each["output"] in recorded]
    await loop(next_life(desk), living(desk), model, Notes().tool(), system="think otherwise")
    assert len(model.asked) == TURNS + 3


async def test_a_step_that_was_made_anew_is_never_followed_by_a_recorded_one(desk: Desk, held: Held) -> None:
    """The tool's own step looks the same in both walks; it is the reply before it that is another."""
    model, notes = Model(), Notes()
    await loop(held, living(desk), model, notes.tool())
    held = next_life(desk)
    with pytest.raises(Killed):
        await loop(held, Dying(desk, (Step,), 1).commits(), model, notes.tool(), system="think otherwise")
    made = len(notes.made)
    await loop(next_life(desk), living(desk), model, notes.tool(), system="think otherwise")
    assert len(notes.made) == made + TURNS - 1


# --- steps at once ----------------------------------------------------------------------------------------------------


async def at_once(held: Held, commits: Commits, *inputs: str, slow: str = "") -> tuple[list[Any], list[str]]:
    """What a step on each of `inputs` gave, begun together, and which were run. A `slow` one is kept after the rest."""
    walk, ran, kept = Steps(held, commits, LIMIT), list[str](), asyncio.Barrier(len(inputs))

    async def pay(each: str) -> str:
        ran.append(each)
        if each == slow:
            await kept.wait()
        return secrets.token_hex(8)

    async def step(each: str) -> Any:
        given = await walk.once("pay", each, lambda: pay(each))
        if slow and each != slow:
            await kept.wait()
        return given

    tasks = [asyncio.create_task(step(each)) for each in inputs]
    try:
        return await asyncio.gather(*tasks), ran
    finally:
        for each in tasks:
            each.cancel()


def recorded(desk: Desk) -> list[tuple[int, Any]]:
    return sorted((each["seq"], each["output"]) for each in desk.reader.steps(ItemId("a")))


async def test_of_steps_begun_together_only_those_that_were_broken_off_are_run_again(desk: Desk, held: Held) -> None:
    with pytest.raises(Killed):
        await at_once(held, Dying(desk, (Step,), 3).commits(), "a", "b", "c", "d", slow="a")
    before = recorded(desk)
    assert [seq for seq, _ in before] == [2, 3, 4]
    _, ran = await at_once(next_life(desk), living(desk), "a", "b", "c", "d")
    assert ran == ["a"]
    assert recorded(desk)[1:] == before
    _, ran = await at_once(next_life(desk), living(desk), "a", "b", "c", "d")
    assert ran == []


async def test_a_difference_behind_a_step_that_was_broken_off_ends_the_replay_there(desk: Desk, held: Held) -> None:
    with pytest.raises(Killed):
        await at_once(held, Dying(desk, (Step,), 3).commits(), "a", "b", "c", "d", slow="a")
    _, ran = await at_once(next_life(desk), living(desk), "a", "b", "C", "d")
    assert sorted(ran) == ["C", "a", "d"], "what came behind the difference belongs to another walk"


async def test_what_was_finished_beside_a_step_made_anew_is_kept_when_that_is(desk: Desk, held: Held) -> None:
    first, _ = await at_once(held, living(desk), "a", "b", "c")
    made, ran = await at_once(next_life(desk), living(desk), "A", "b", "c", slow="A")
    assert sorted(ran) == ["A", "b", "c"]
    assert recorded(desk) == list(enumerate(made, 1))
    assert not set(made) & set(first)


async def test_what_was_finished_beside_a_step_made_anew_is_kept_though_that_was_broken_off(
    desk: Desk, held: Held
) -> None:
    await at_once(held, living(desk), "a", "b", "c")
    with pytest.raises(Killed):
        await at_once(next_life(desk), Dying(desk, (Step,), 2).commits(), "A", "b", "c", slow="A")
    _, ran = await at_once(next_life(desk), living(desk), "A", "b", "c")
    assert ran == ["A"]


# --- effects ----------------------------------------------------------------------------------------------------------


LETTER = ToolSpec(name="mail", says="Sends a letter.", schema={"type": "object"})


class Mail:
    """What stands outside: letters that were sent, by their key."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.fails: BaseException | None = None

    async def run(self, arguments: Any, key: str) -> str:
        self.sent.append(key)
        if self.fails is not None:
            failure, self.fails = self.fails, None
            raise failure
        return f"sent as {len(self.sent)}"

    def tool(self, **more: Any) -> OutsideTool:
        return OutsideTool(LETTER, self.run, **more)


def answering(end: str | BadArguments) -> Callable[..., Awaitable[str]]:
    """A tool's part that ends so, whatever it is asked."""

    async def run(*_: Any) -> str:
        if isinstance(end, BadArguments):
            raise end
        return end

    return run


def effects(desk: Desk) -> list[tuple[str, str]]:
    return [(each["key"], each["state"]) for each in desk.reader.effects(ItemId("a"))]


async def test_an_effect_is_on_disk_before_it_is_done_and_after(desk: Desk, held: Held) -> None:
    mail, seen = Mail(), []

    async def run(arguments: Any, key: str) -> str:
        seen.append(effects(desk))
        return await mail.run(arguments, key)

    tool = OutsideTool(mail.tool().spec, run)
    await loop(held, living(desk), Model(2, "mail"), tool)
    assert seen == [[("a:1:executing:2", "started")]]
    assert effects(desk) == [("a:1:executing:2", "done")]
    assert mail.sent == ["a:1:executing:2"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (OutsideTool(LETTER, answering("sent as \udc80.txt")), "sent as ?.txt"),
        (Tool(LETTER, answering("\ud800 is no letter")), "? is no letter"),
        (Tool(LETTER, answering(BadArguments("there is no \udcff"))), "error: there is no ?"),
    ],
)
async def test_what_a_tool_says_that_is_no_text_is_marked_and_the_rest_is_kept(
    desk: Desk, held: Held, said: Tool | OutsideTool, told: str
) -> None:
    await loop(held, living(desk), Model(2, "mail"), said)
    assert [each["output"] for each in desk.reader.steps(ItemId("a")) if each["kind"] == "tool"] == [told]


@pytest.mark.parametrize("kind", [EffectEnd, Step], ids=["the effect's end", "the step"])
async def test_what_is_known_to_be_done_is_not_done_again(desk: Desk, held: Held, kind: type) -> None:
    model, mail = Model(2, "mail"), Mail()
    mortal = Dying(desk, (EffectEnd,), 1) if kind is EffectEnd else Dying(desk, (Step,), 2, before=True)
    with pytest.raises(Killed):
        await loop(held, mortal.commits(), model, mail.tool())
    await loop(next_life(desk), living(desk), model, mail.tool())
    assert len(mail.sent) == 1
    assert [each["output"] for each in desk.reader.steps(ItemId("a")) if each["kind"] == "tool"] == ["sent as 1"]


async def test_an_unknown_outcome_of_an_idempotent_tool_is_done_again_under_its_key(desk: Desk, held: Held) -> None:
    model, mail = Model(2, "mail"), Mail()
    with pytest.raises(Killed):
        await loop(held, Dying(desk, (EffectEnd,), 1, before=True).commits(), model, mail.tool(idempotent=True))
    held = next_life(desk)
    assert not Effects(held, living(desk), Steps(held, living(desk), LIMIT)).unknown
    await loop(held, living(desk), model, mail.tool(idempotent=True))
    assert mail.sent == 2 * ["a:1:executing:2"]
    assert effects(desk) == [("a:1:executing:2", "done")]


async def killed_while_outside(desk: Desk, held: Held, mail: Mail, model: Model) -> Held:
    with pytest.raises(Killed):
        await loop(held, Dying(desk, (EffectEnd,), 1, before=True).commits(), model, mail.tool())
    return next_life(desk)


async def test_any_other_unknown_outcome_keeps_the_stage_from_beginning(desk: Desk, held: Held) -> None:
    held = await killed_while_outside(desk, held, Mail(), Model(2, "mail"))
    (found,) = Effects(held, living(desk), Steps(held, living(desk), LIMIT)).unknown
    assert (found.tool, found.arguments, found.state) == ("mail", {"turn": 1}, EffectState.STARTED)


@pytest.mark.parametrize(
    ("answer", "letters", "came_of_it"),
    [
        ("done", 1, "done, as its operator says"),
        ("Done: letter 7 lies in the outbox", 1, "letter 7 lies in the outbox"),
        ("run again", 2, "sent as 2"),
    ],
)
async def test_a_person_says_what_became_of_it(
    desk: Desk, held: Held, answer: str, letters: int, came_of_it: str
) -> None:
    model, mail = Model(2, "mail"), Mail()
    held = await killed_while_outside(desk, held, mail, model)
    desk.call(move(held, WorkState.PARKED, reason=ParkReason.CONFLICT.value, fence_up=True))
    with pytest.raises(Refused, match="run again"):
        desk.release("a", answers=["perhaps"])
    desk.release("a", answers=[answer])
    held = desk.claim_one(DO)
    assert held.record.attempt == 1, "the attempt goes on"
    assert held.record.answers == (), "it was no message for the agent"
    await loop(held, living(desk), model, mail.tool())
    assert len(mail.sent) == letters
    assert [each["output"] for each in desk.reader.steps(ItemId("a")) if each["kind"] == "tool"] == [came_of_it]


async def test_a_retry_does_not_send_the_letter_again_unless_the_tool_is_repeatable(desk: Desk, held: Held) -> None:
    model, mail = Model(2, "mail"), Mail()
    await loop(held, living(desk), model, mail.tool())
    desk.call(move(held, WorkState.SCHEDULED, run_at=0, failures=1, ends_attempt=True, reason="backoff"))
    desk.release("a")
    held = desk.claim_one(DO)
    (fact,) = Effects(held, living(desk), Steps(held, living(desk), LIMIT)).done
    assert (fact.tool, fact.output) == ("mail", "sent as 1")
    await loop(held, living(desk), model, mail.tool())
    assert mail.sent == ["a:1:executing:2"]
    desk.call(move(held, WorkState.SCHEDULED, run_at=0, failures=1, ends_attempt=True, reason="backoff"))
    desk.release("a")
    await loop(desk.claim_one(DO), living(desk), model, mail.tool(repeatable=True))
    assert mail.sent == ["a:1:executing:2", "a:3:executing:2"]


async def test_a_prompt_that_changed_between_two_lives_does_not_send_the_letter_again(desk: Desk, held: Held) -> None:
    model, mail = Model(2, "mail"), Mail()
    await loop(held, living(desk), model, mail.tool())
    await loop(next_life(desk), living(desk), model, mail.tool(), system="think otherwise")
    assert len(model.asked) == 4
    assert len(mail.sent) == 1


async def test_two_equal_wishes_of_one_walk_are_two_effects(desk: Desk, held: Held) -> None:
    class Twice(Model):
        async def __call__(self, request: ModelRequest) -> ModelReply:
            reply = await super().__call__(request)
            wished = tuple(ToolCall(id=each.id, name="mail", arguments={}) for each in reply.calls)
            return ModelReply(text=reply.text, calls=wished, stop=reply.stop, usage=reply.usage)

    mail, model = Mail(), Twice(3)
    with pytest.raises(Killed):
        await loop(held, Dying(desk, (Step,), 5, before=True).commits(), model, mail.tool())
    await loop(next_life(desk), living(desk), model, mail.tool())
    assert mail.sent == ["a:1:executing:2", "a:1:executing:4"]


@pytest.mark.parametrize(
    ("failure", "state"),
    [(BadArguments("no such address"), "void"), (ConnectionResetError("hm"), "started")],
    ids=["nothing was done", "nobody knows"],
)
async def test_what_a_failed_tool_leaves(desk: Desk, held: Held, failure: Exception, state: str) -> None:
    mail = Mail()
    mail.fails = failure
    run: Awaitable[Answer] = loop(held, living(desk), Model(2, "mail"), mail.tool())
    if state == "void":
        await run
    else:
        with pytest.raises(ConnectionResetError):
            await run
    assert effects(desk) == [("a:1:executing:2", state)]


async def test_nothing_outside_begins_under_an_old_fence(desk: Desk, held: Held) -> None:
    desk.cancel("a")
    mail = Mail()
    steps = Steps(held, living(desk), LIMIT)
    with pytest.raises(ModelFailed) as failed:
        await Effects(held, living(desk), steps).once("mail", {}, lambda _: mail.run({}, "k"), idempotent=False,
                                                     repeatable=False)  # fmt: skip
    assert failed.value.kind == "stale"
    assert mail.sent == []
    assert effects(desk) == []


def start(held: Held, **more: Any) -> EffectStart:
    record = held.record
    given = {"fence": record.fence, "attempt": record.attempt, "stage": record.stage, **more}
    return EffectStart(item=record.item.id, seq=1, key="k", tool="mail", arguments={}, idempotent=False, **given)


def end(held: Held, **more: Any) -> EffectEnd:
    record = held.record
    given = {"fence": record.fence, "attempt": record.attempt, "stage": record.stage, **more}
    return EffectEnd(item=record.item.id, key="k", state=EffectState.DONE, output=1, **given)


def test_an_effects_end_is_kept_while_its_item_was_only_put_back(desk: Desk, held: Held) -> None:
    desk.call(start(held))
    desk.call(move(held, WorkState.READY, reason="interrupted"))
    assert desk.call(start(held)) is STALE
    assert desk.call(end(held)) is not STALE
    assert effects(desk) == [("k", "done")]


@pytest.mark.parametrize("wrong", [{"fence": Fence(9)}, {"attempt": Attempt(2)}, {"stage": Stage.REVIEWING}])
@pytest.mark.parametrize("ask", [start, end])
def test_an_effect_under_another_fence_attempt_or_stage_changes_nothing(
    desk: Desk, held: Held, ask: Callable[..., Any], wrong: dict[str, Any]
) -> None:
    if ask is end:
        desk.call(start(held))
    before = effects(desk)
    assert desk.call(ask(held, **wrong)) is STALE
    assert effects(desk) == before
    assert desk.events("a")[-1] == "work.stale_result"


async def letters(held: Held, commits: Commits, mail: Mail, *steps: Sequence[Any], **more: Any) -> list[Any]:
    """A letter to each of a step's, one after the other; what belongs to no step is sent by itself."""
    walk = Steps(held, commits, LIMIT)
    outside = Effects(held, commits, walk)

    async def send(to: Any) -> Any:
        given = {"idempotent": False, "repeatable": False, **more}
        return await outside.once("mail", {"to": to}, lambda key: mail.run({"to": to}, key), **given)

    async def all_of(step: Sequence[Any]) -> list[Any]:
        return [await send(each) for each in step]

    return [await (send(each) if isinstance(each, str) else walk.once("letters", each, lambda each=each: all_of(each)))
            for each in steps]  # fmt: skip


async def test_each_effect_of_a_step_has_a_key_and_a_record_of_its_own(desk: Desk, held: Held) -> None:
    mail = Mail()
    assert await letters(held, living(desk), mail, ["ann", "bob", "ann"]) == [["sent as 1", "sent as 2", "sent as 3"]]
    assert mail.sent == ["a:1:executing:1", "a:1:executing:1:2", "a:1:executing:1:3"]
    assert [each["arguments"]["to"] for each in desk.reader.effects(ItemId("a"))] == ["ann", "bob", "ann"]


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (["ann", "bob"], ["ann", "bob"]),
        (["ann", "bob", "ann"], ["ann", "bob", "ann"]),
        (["ann", "bob"], ["ann", "bob", "ann"]),
        (["ann", "bob"], ["bob", "ann"]),
        (["ann", "bob"], ["carol", "bob", "ann"]),
        ([("ann", "bob"), "carol"], [("ann", "bob"), "carol"]),
    ],
    ids=[
        "the same",
        "two alike",
        "one more alike",
        "in another order",
        "behind a new one",
        "of what is a list on disk",
    ],
)
async def test_a_step_that_is_run_again_does_none_of_its_effects_twice(
    desk: Desk, held: Held, first: list[Any], again: list[Any]
) -> None:
    mail = Mail()
    with pytest.raises(Killed):
        await letters(held, Dying(desk, (Step,), 1, before=True).commits(), mail, first)
    await letters(next_life(desk), living(desk), mail, again)
    assert len(mail.sent) == len(set(mail.sent)) == len(first) + (Counter(again) - Counter(first)).total()
    assert {state for _, state in effects(desk)} == {"done"}


async def test_a_step_that_is_replayed_answers_for_its_own_effects_and_for_none_behind_it(
    desk: Desk, held: Held
) -> None:
    mail = Mail()
    await letters(held, living(desk), mail, ["ann"])
    await letters(next_life(desk), living(desk), mail, ["ann"], ["ann"])
    assert mail.sent == ["a:1:executing:1", "a:1:executing:2"]


async def test_what_an_earlier_attempt_did_stands_in_for_each_such_wish_of_a_retry_behind_whatever_it_replays(
    desk: Desk, held: Held
) -> None:
    mail = Mail()
    await letters(held, living(desk), mail, ["ann"])
    desk.call(move(held, WorkState.SCHEDULED, run_at=0, failures=1, ends_attempt=True, reason="backoff"))
    desk.release("a")
    await letters(desk.claim_one(DO), living(desk), mail, ["bob"])
    await letters(next_life(desk), living(desk), mail, ["bob"], ["ann", "ann"])
    assert mail.sent == ["a:1:executing:1", "a:2:executing:1"]


async def test_of_several_effects_the_one_that_was_broken_off_is_run_again_under_its_own_key(
    desk: Desk, held: Held
) -> None:
    mail = Mail()
    with pytest.raises(Killed):
        await letters(held, Dying(desk, (EffectEnd,), 2, before=True).commits(), mail, ["ann", "bob"], idempotent=True)
    await letters(next_life(desk), living(desk), mail, ["ann", "bob"], idempotent=True)
    assert mail.sent == ["a:1:executing:1", *2 * ["a:1:executing:1:2"]]


async def test_of_several_effects_the_one_that_did_nothing_is_tried_again_under_its_own_key(
    desk: Desk, held: Held
) -> None:
    mail = Mail()
    mail.fails = NothingDone("the server is away")
    with pytest.raises(NothingDone):
        await letters(held, living(desk), mail, ["ann", "bob"])
    await letters(next_life(desk), living(desk), mail, ["bob", "ann"])
    assert mail.sent == ["a:1:executing:1", "a:1:executing:1:2", "a:1:executing:1"]


async def test_effects_outside_of_any_step_are_recorded_by_themselves(desk: Desk, held: Held) -> None:
    mail = Mail()
    with pytest.raises(Killed):
        await letters(held, Dying(desk, (EffectEnd,), 3).commits(), mail, "ann", ["bob"], "carol")
    assert mail.sent == ["a:1:executing:0", "a:1:executing:1", "a:1:executing:0:2"]
    await letters(next_life(desk), living(desk), mail, "ann", ["bob"], "carol")
    assert len(mail.sent) == 3, "the step before it was replayed, and does not answer for the letter behind it"


async def test_steps_at_once_have_each_their_own_effects(desk: Desk, held: Held) -> None:
    mail, all_begun = Mail(), asyncio.Barrier(2)

    async def both(held: Held, commits: Commits) -> None:
        walk = Steps(held, commits, LIMIT)
        outside = Effects(held, commits, walk)

        async def send(to: str) -> Any:
            await all_begun.wait()
            return await outside.once("mail", to, lambda key: mail.run(to, f"{to} {key}"), idempotent=False,
                                      repeatable=False)  # fmt: skip

        await asyncio.gather(*(walk.once("letter", to, lambda to=to: send(to)) for to in ("ann", "bob")))

    await both(held, living(desk))
    assert sorted(mail.sent) == ["ann a:1:executing:1", "bob a:1:executing:2"]
