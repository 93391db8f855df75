"""Every fault of the wire, through the real clients, ends as its kind; nothing upstream wrote comes out."""

import socket
import traceback

import pytest

from darumad.names import Seconds
from darumad.sim import Fault, Reply, Rule, ToolUse
from darumad.values import changed
from tests.agents.providers.desk import KEY, QUICK, Desk, ask

LONG = Reply(text="word " * 60)

STATUS: list[tuple[Fault, str]] = [
    (Fault(name="http_status", code=400), "invalid_request"),
    (Fault(name="http_status", code=408), "timeout"),
    (Fault(name="http_status", code=429), "rate_limited"),
    (Fault(name="http_status", code=503), "overloaded"),
    (Fault(name="http_status", code=504), "timeout"),
]
"""What each is billed at depends on its kind; which kind each status has, the matrix says."""


def goes_wrong(fault: Fault, reply: Reply = LONG) -> Rule:
    return Rule(id="wrong", script=(reply,), fault=fault)


def named(fault: Fault) -> str:
    return f"{fault.name}-{fault.code}-{fault.type}-{fault.body}"


@pytest.fixture
def hasty(desk: Desk, vendor: str) -> Desk:
    desk.change(timeouts=QUICK)
    return desk


@pytest.mark.parametrize(("fault", "kind"), STATUS, ids=lambda each: named(each) if isinstance(each, Fault) else None)
async def test_a_status_ends_as_its_kind(desk: Desk, vendor: str, fault: Fault, kind: str) -> None:
    desk.sim.play(goes_wrong(fault))
    assert (await desk.failure()).kind == kind
    assert {usage.calls for usage in desk.books.used} == {1}


@pytest.mark.parametrize("said", ['["no", "object"]', '"Forbidden"', "null"])
async def test_a_refusal_that_says_no_object_is_known_by_its_status(desk: Desk, vendor: str, said: str) -> None:
    desk.sim.play(goes_wrong(Fault(name="http_status", code=403, body="raw", text=said, retry_after=7)))
    failed = await desk.failure()
    assert (failed.kind, failed.retry_after) == ("auth", 7.0)


UNREADABLE = {"too deep": "[" * 100_000, "too many digits": '{"eval_count": ' + "9" * 5_000 + "}"}
"""JSON over which a reader stumbles that expects no more than bad JSON."""


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(("code", "kind"), [(200, "malformed_response"), (401, "auth")])
@pytest.mark.parametrize("said", UNREADABLE)
async def test_json_that_nobody_can_read_is_the_provider_s_failure(  # noqa: PLR0917 - each may be read by another
    desk: Desk, vendor: str, stream: bool, said: str, code: int, kind: str
) -> None:
    desk.change(stream=stream)
    types = {"content-type": "text/event-stream"} if stream else {}
    text = f"data: {UNREADABLE[said]}\n" if stream and vendor != "ollama" else UNREADABLE[said]
    desk.sim.play(goes_wrong(Fault(name="http_status", code=code, body="raw", text=text, headers=types)))
    assert (await desk.failure()).kind == kind


async def test_money_that_is_gone_is_told_from_a_rate(desk: Desk) -> None:
    desk.sim.play(goes_wrong(Fault(name="http_status", code=429, error_code="enforced_spend_limit_reached")))
    assert (await desk.failure()).kind == "quota_exhausted"
    assert len(desk.sim.attempts()) == 1


async def test_a_prompt_too_long_is_told_from_other_bad_requests(desk: Desk) -> None:
    desk.use = "ollama"
    desk.change(num_ctx=100)
    assert (await desk.failure("word " * 500)).kind == "context_too_long"
    assert desk.sim.attempts() == ()


async def test_a_prompt_that_the_server_cut_in_silence_is_too_long(desk: Desk) -> None:
    desk.use = "ollama"
    desk.sim.play(Rule(id="cut", script=(Reply(text="fine", input_tokens=900),)))
    assert (await desk.failure("word " * 5_000)).kind == "context_too_long"


async def test_a_form_of_the_answer_is_no_part_of_the_prompt_that_ollama_reads(desk: Desk) -> None:
    desk.use = "ollama"
    desk.change(num_ctx=1_500)
    desk.sim.play(Rule(id="kept", script=(Reply(text='{"n": 1}', input_tokens=900),)))
    form = {"type": "object", "properties": {"n": {"type": "integer", "description": "a number " * 1_000}}}
    assert (await desk.complete()(ask("word " * 800, output_schema=form))).text == '{"n": 1}'


@pytest.mark.parametrize("raw", ['{"where": ', '"a string"', "[1]"])
async def test_arguments_that_are_no_object_are_bad(desk: Desk, raw: str) -> None:
    desk.sim.play(goes_wrong(None, Reply(tool_calls=(ToolUse(name="weather", raw=raw),))))
    assert (await desk.failure()).kind == "bad_tool_args"
    assert desk.books.used[0].calls == 1


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b\ufeff\u00a0", "\u2800\u3164\ufe0f"])
async def test_saying_nothing_that_is_seen_is_no_success(desk: Desk, vendor: str, text: str) -> None:
    desk.sim.play(goes_wrong(None, Reply(text=text)))
    assert (await desk.failure()).kind == "empty_output"


async def test_refused_connections_are_connect(desk: Desk, vendor: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        desk.change(base_url=f"http://127.0.0.1:{free.getsockname()[1]}")
        assert (await desk.failure()).kind == "connect"
    assert [usage.calls for usage in desk.books.used] == [0, 0]


@pytest.mark.parametrize("after", [1, 3])
async def test_a_stream_that_ends_before_the_answer_does_is_no_answer(desk: Desk, vendor: str, after: int) -> None:
    desk.sim.play(goes_wrong(Fault(name="clean_eof", after=after), Reply(text="word " * 40)))
    assert (await desk.failure()).kind == "truncated_stream"


async def test_a_stream_of_pings_is_silence(desk: Desk) -> None:
    desk.change(timeouts=changed(QUICK, first_token=Seconds(10)))
    desk.sim.play(goes_wrong(Fault(name="pings_only", after=3, interval=0.02)))
    failed = await desk.failure()
    assert (failed.kind, "nothing more came" in failed.message) == ("timeout", True)


async def test_an_answer_that_drips_for_ever_ends_at_the_total_limit(desk: Desk, vendor: str) -> None:
    desk.change(timeouts=changed(QUICK, first_token=Seconds(10), idle=Seconds(10), total=Seconds(1)))
    desk.sim.play(Rule(id="drip", script=(Reply(text="word " * 2_000),), per_frame=0.05))
    failed = await desk.failure()
    assert (failed.kind, "in all" in failed.message) == ("timeout", True)
    assert [usage.calls for usage in desk.books.used] == [1]


async def test_a_key_that_comes_back_in_an_error_is_in_nothing_that_is_raised(desk: Desk, vendor: str) -> None:
    desk.keys["ollama"] = desk.keys["anthropic"]
    for code in (400, 401, 500):
        desk.sim.play(goes_wrong(Fault(name="http_status", code=code, body="echo")))
        desk.broker.renew(vendor)
        failed = await desk.failure()
        told = "".join(traceback.format_exception(failed)) + repr(failed.__dict__)
        assert KEY not in told
        assert (failed.__cause__, failed.__context__) == (None, None)


async def test_no_key_is_told_before_anything_is_sent(desk: Desk) -> None:
    desk.keys.clear()
    failed = await desk.failure()
    assert (failed.kind, "key_file" in failed.message) == ("auth", True)
    assert desk.sim.attempts() == ()


async def test_a_defect_of_ours_is_no_provider_s_failure(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from darumad.agents.providers.anthropic import AnthropicClient  # noqa: PLC0415

    async def stumble(*_: object) -> None:
        raise RuntimeError("a client on a second loop")

    monkeypatch.setattr(AnthropicClient, "complete", stumble)
    with pytest.raises(RuntimeError, match="second loop"):
        await desk.complete()(ask())
    assert not desk.books.open
