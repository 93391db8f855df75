"""Prompts that a simulated Anthropic keeps: what is marked is read anew once, and then from what was kept."""

import json
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest

from darumad.sim import Simulation
from darumad.sim.prefix import Kept, Prefix

HEADERS = {"x-api-key": "k", "anthropic-version": "2026-10-21", "content-type": "application/json"}
LONG = "The rules of the house. " * 200
"""1,500 tokens, as the simulator counts them."""
MARK = {"type": "ephemeral"}


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulation]:
    with Simulation("anthropic") as running:
        yield running


def used(sim: Simulation, question: str, *, mark: object = MARK, system: str = LONG, **more: object) -> tuple[int, ...]:
    """What one message is told to have used: fresh tokens, those that are kept from now on, those that were."""
    block = {"type": "text", "text": system} | ({"cache_control": mark} if mark else {})
    body = {"model": "claude-haiku-4-5", "max_tokens": 9, "system": [block]} | more
    body |= {"messages": [{"role": "user", "content": question}]}
    with urlopen(Request(f"{sim.url('anthropic')}/v1/messages", json.dumps(body).encode(), HEADERS)) as answer:
        usage = json.load(answer)["usage"]
    return usage["input_tokens"], usage["cache_creation_input_tokens"], usage["cache_read_input_tokens"]


def test_a_marked_prefix_is_kept_by_the_first_call_and_read_by_the_next(sim: Simulation) -> None:
    sim.play()
    assert used(sim, "One?") == (1, 1_500, 0)
    assert used(sim, "Another one?") == (4, 0, 1_500)
    assert used(sim, "One?", system="Other words. " + LONG)[1:] == (1_504, 0), "another beginning is another prefix"
    sim.play(time_scale=1e-9)
    assert used(sim, "One?")[2] == 0, "a scenario begins with nothing kept"
    assert used(sim, "One?")[2] == 0, "its minutes are over before the next call"


def test_a_mark_at_the_top_keeps_the_whole_prompt_and_what_is_short_or_not_marked_is_not_kept(sim: Simulation) -> None:
    sim.play()
    assert used(sim, "One?", mark=None) == (1_501, 0, 0)
    assert used(sim, "One?", mark=None, cache_control=MARK) == (0, 1_501, 0)
    assert used(sim, "One?", mark=None, cache_control=MARK) == (0, 0, 1_501)
    for _ in range(2):
        assert used(sim, "One?", system="Be brief.") == (4, 0, 0)


def test_a_prefix_is_kept_for_its_time_after_it_was_read_last() -> None:
    kept, prefix = Kept(), Prefix("digest", 2_000, 300.0)
    assert [kept.taken(at, [prefix]) for at in (0.0, 299.0, 598.0, 899.0)] == [
        (0, 2_000), (2_000, 0), (2_000, 0), (0, 2_000),
    ]  # fmt: skip


def test_a_prefix_that_nobody_reads_any_more_is_gone_and_one_that_is_read_stays() -> None:
    kept, read = Kept(), Prefix("read", 2_000, 300.0)
    for at in range(0, 6_000, 100):
        kept.taken(float(at), [read, Prefix(f"once {at}", 3_000, 300.0)])
    assert sorted(kept.until) == ["once 5700", "once 5800", "once 5900", "read"]
