"""The simulator over raw sockets: what it answers, refuses, does wrong on purpose, and remembers."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darumad.sim import (
    Fault,
    Quota,
    Reply,
    Rule,
    Simulation,
    Spread,
    ToolUse,
    When,
    main,
    most_at_once,
    scenario_of,
)
from darumad.sim.faults import FAULTS, plan
from darumad.sim.scenario import Asked, Director, Scenario, draw
from darumad.sim.spoiled import SPOILED
from darumad.sim.wire import Answer, Send, take_request

AUTH = {"authorization": "Bearer secret", "anthropic-version": "2026-10-21"}
MESSAGE = {"model": "claude-sonnet-5-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
CHAT = {"model": "llama3.2", "messages": [{"role": "user", "content": "hi"}], "stream": False}


@pytest.fixture(scope="module")
def simulation() -> Iterator[Simulation]:
    with Simulation(
        "anthropic-a", "anthropic-b", "ollama", models=("llama3.2", "tiny", "claude-sonnet-5-5", "claude-opus-5-5")
    ) as running:
        yield running


@pytest.fixture
def sim(simulation: Simulation) -> Simulation:
    simulation.play()
    return simulation


def call(sim: Simulation, listener: str, method: str, path: str, body: object = None, *, headers: object = None):
    connection = http.client.HTTPConnection("127.0.0.1", sim.ports[listener], timeout=10)
    try:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
        connection.request(method, path, data, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def message(sim: Simulation, listener: str = "anthropic-a", headers: object = None, **fields: object):
    status, body = call(
        sim, listener, "POST", "/v1/messages", MESSAGE | fields, headers=AUTH if headers is None else headers
    )
    return status, json.loads(body)


def chat(sim: Simulation, **fields: object):
    status, body = call(sim, "ollama", "POST", "/api/chat", CHAT | fields)
    return status, json.loads(body)


def text_of(sim: Simulation, **fields: object) -> str:
    return "".join(each.get("text", "") for each in message(sim, **fields)[1]["content"])


# --- the vendors' ways ------------------------------------------------------------------------------------------------


def test_a_message_has_the_vendor_s_form(sim: Simulation) -> None:
    status, body = message(sim)
    assert status == 200
    assert (body["type"], body["role"], body["stop_reason"]) == ("message", "assistant", "end_turn")
    assert set(body["usage"]) >= {"input_tokens", "output_tokens", "cache_read_input_tokens"}


STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def broken_at(body: bytes) -> float:
    """Which part of the lines of JSON comes before that over which a reader stumbles."""
    for line in body.splitlines(keepends=True):
        try:
            json.loads(line)
        except json.JSONDecodeError as error:
            return (body.index(line) + error.pos) / len(body)
    return 1.0


@STREAMED
def test_broken_json_is_broken_where_the_scenario_says(sim: Simulation, *, stream: bool) -> None:
    found = {}
    for where in ("head", "body", "end"):
        rule = {"then": {"fault": "malformed_json", "where": where, "reply": "word " * 40}}
        sim.play(*scenario_of({"rules": [rule]}).rules)
        found[where] = broken_at(call(sim, "ollama", "POST", "/api/chat", {**CHAT, "stream": stream})[1])
    assert found["head"] < 0.2 < found["body"] < 0.8 < found["end"] < 1.0


def test_a_prompt_is_counted_as_a_message_would_count_it_and_takes_of_no_quota(sim: Simulation) -> None:
    sim.play(quotas={"anthropic-*": Quota(requests=1)})
    asked = {"model": MESSAGE["model"], "messages": MESSAGE["messages"], "system": "word " * 100}
    path = "/v1/messages/count_tokens"
    counts = [json.loads(call(sim, "anthropic-a", "POST", path, asked, headers=AUTH)[1]) for _ in range(3)]
    assert counts[0] == counts[2] == {"input_tokens": message(sim, system="word " * 100)[1]["usage"]["input_tokens"]}
    assert [each.input_tokens for each in sim.attempts()][:3] == [0, 0, 0]
    assert call(sim, "anthropic-a", "POST", path, {**asked, "messages": []}, headers=AUTH)[0] == 400


def test_a_prompt_that_is_longer_than_its_model_s_window_is_refused_in_the_vendor_s_words(sim: Simulation) -> None:
    long = [{"role": "user", "content": "x" * 3_300_000}]
    status, body = message(sim, messages=long)
    assert (status, body["error"]["message"]) == (400, "prompt is too long: 1031250 tokens > 1000000 maximum")
    assert message(sim, messages=[{"role": "user", "content": "x" * 3_000_000}])[0] == 200


def test_a_stream_says_the_same_as_the_whole_message_in_the_vendor_s_order(sim: Simulation) -> None:
    sim.play(Rule(id="said", script=(Reply(text="word " * 20, thinking="hm"),)))
    _, body = call(sim, "anthropic-a", "POST", "/v1/messages", MESSAGE | {"stream": True}, headers=AUTH)
    events = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: ")]
    kinds = [each["type"] for each in events]
    assert (kinds[0], kinds[1], kinds[-2:]) == (
        "message_start",
        "content_block_start",
        ["message_delta", "message_stop"],
    )
    assert (
        "".join(each["delta"].get("text", "") for each in events if each["type"] == "content_block_delta")
        == "word " * 20
    )
    assert [each["content_block"]["type"] for each in events if "content_block" in each] == ["thinking", "text"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"model": None}, "model"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": 128_001}, "max_tokens: 128001 > 128000"),
        ({"messages": []}, "messages"),
        ({"temperature": 1.0}, "temperature"),
        ({"thread": {}}, "thread"),
        ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "tools.0.name"),
        ({"tools": [{"name": "ab", "input_schema": {"type": "string"}}]}, "tools.0.input_schema"),
        ({"model": "claude-opus-5-5", "tool_choice": {"type": "any"}}, "tool_choice"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, "messages.0"),
        (
            {
                "messages": [
                    {"role": "user", "content": "go"},
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "a", "input": {}}]},
                    {"role": "user", "content": "and?"},
                ]
            },
            "t1",
        ),
        ({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t2"}]}]}, "messages.0: `tool"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t9"}]}]},
            "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: t9.",
        ),
        *(({name: [value]}, "wrong shape") for name in ("messages", "tools") for value in (1, [1])),
        ({"messages": [{"role": "user", "content": 5}]}, "wrong shape"),
        ({"tool_choice": "any"}, "wrong shape"),
    ],
)
def test_what_the_api_refuses_is_refused_by_name(sim: Simulation, fields: dict[str, object], named: str) -> None:
    status, body = message(sim, **fields)
    assert (status, body["error"]["type"]) == (400, "invalid_request_error")
    assert named in body["error"]["message"]


def test_a_model_is_there_under_its_name_and_under_its_alias_and_no_other_is(sim: Simulation) -> None:
    assert message(sim, model="claude-sonnet-5-5@me")[0] == 200
    status, body = message(sim, model="claude-sonnet")
    assert (status, body["error"]) == (404, {"type": "not_found_error", "message": "model: claude-sonnet"})


def test_a_listener_has_its_vendor_s_models_when_nobody_names_others() -> None:
    with Simulation("anthropic", "openai") as sim:
        assert message(sim, "anthropic")[0] == 200
        listed = call(sim, "openai", "GET", "/v1/models", headers=AUTH)[1]
        assert [each["id"] for each in json.loads(listed)["data"]] == ["gpt-sim", "embedding-sim"]


def test_without_a_key_or_a_version_nothing_is_answered(sim: Simulation) -> None:
    assert message(sim, headers={"anthropic-version": "2023-06-01"})[0] == 401
    assert message(sim, headers={"x-api-key": "old"})[0] == 400
    assert [
        call(sim, "anthropic-a", "GET", "/v1/models", headers=each)[0] for each in ({}, {"x-api-key": "old"}, AUTH)
    ] == [
        401,
        400,
        200,
    ]
    assert message(sim, headers={"x-api-key": "old", "anthropic-version": "2023-06-01"})[0] == 200


@pytest.mark.parametrize(("body", "status"), [(b"", 400), (b"{", 400), (b"{}", 400), (b'{"model": "none"}', 404)])
def test_ollama_refuses_in_its_own_words(sim: Simulation, body: bytes, status: int) -> None:
    found, said = call(sim, "ollama", "POST", "/api/chat", body)
    assert (found, "error" in json.loads(said)) == (status, True)


@pytest.mark.parametrize(
    "wrong", [{"messages": [1]}, {"options": 5}, {"options": {"num_predict": "x"}}, {"options": {"num_ctx": "x"}}]
)
def test_what_has_the_wrong_shape_is_refused_and_not_left_alone(sim: Simulation, wrong: dict[str, object]) -> None:
    assert chat(sim, **wrong) == (400, {"error": "The request has the wrong shape"})


def test_who_asks_for_the_head_alone_gets_no_body_with_it(sim: Simulation) -> None:
    asked = b"HEAD / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    with socket.create_connection(("127.0.0.1", sim.ports["ollama"]), timeout=10) as plug:
        plug.sendall(asked)
        said = plug.makefile("rb")
        heads = [list(iter(said.readline, b"\r\n")) for _ in range(2)]
    assert [head[0] for head in heads] == [b"HTTP/1.1 200 OK\r\n"] * 2


def test_ollama_streams_unless_asked_otherwise(sim: Simulation) -> None:
    _, body = call(sim, "ollama", "POST", "/api/chat", {"model": "tiny", "messages": CHAT["messages"]})
    lines = [json.loads(line) for line in body.splitlines()]
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert chat(sim)[1]["done"]


def test_ollama_names_its_models(sim: Simulation) -> None:
    status, body = call(sim, "ollama", "GET", "/api/tags")
    assert (status, [each["name"] for each in json.loads(body)["models"]][:2]) == (
        200,
        ["llama3.2:latest", "tiny:latest"],
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [("tiny", "tiny:latest"), ("tiny:7B", "tiny:7B"), ("me/tiny", "me/tiny:latest"),
     ("a.b:80/me/t", "a.b:80/me/t:latest"),
     ("registry.ollama.ai/library/tiny:1b", "tiny:1b"), ("library/tiny", "tiny:latest")],
)  # fmt: skip
def test_ollama_shows_a_model_with_its_tag_and_knows_it_by_each_of_its_names(name: str, shown: str) -> None:
    with Simulation("ollama", models=(name,)) as sim:
        (told,) = json.loads(call(sim, "ollama", "GET", "/api/tags")[1])["models"]
        assert (told["name"], told["model"]) == (shown, shown)
        for each in name, shown, shown.upper(), f"{shown}@caller", shown.removesuffix(":latest"):
            assert chat(sim, model=each)[0] == 200
        assert chat(sim, model=f"{name}er") == (404, {"error": f"model '{name}er' not found"})


@pytest.mark.parametrize("listener", ["anthropic-a", "ollama"])
def test_a_path_that_is_not_there_is_404(sim: Simulation, listener: str) -> None:
    assert call(sim, listener, "GET", "/v2/nothing", headers=AUTH)[0] == 404


def test_a_tool_call_and_a_schema_are_answered_in_form(sim: Simulation) -> None:
    sim.play(
        Rule(id="tool", when=When(has_tool="go"), script=(Reply(tool_calls=(ToolUse(name="go", args={"a": 1}),)),))
    )
    tools = [{"name": "go", "input_schema": {"type": "object"}}]
    _, body = message(sim, tools=tools)
    assert (body["stop_reason"], body["content"][-1]["input"]) == ("tool_use", {"a": 1})
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "tags": {"type": "array"}}}
    form = {"format": {"type": "json_schema", "schema": schema}}
    assert json.loads(text_of(sim, output_config=form)) == {"n": 1, "tags": ["text"]}


def test_a_schema_that_takes_anything_is_answered_too(sim: Simulation) -> None:
    schema = {"type": "object", "properties": {"any": True, "many": {"type": "array", "items": True}}}
    form = {"format": {"type": "json_schema", "schema": schema}}
    assert json.loads(text_of(sim, output_config=form)) == {"any": None, "many": [None]}


# --- rules ------------------------------------------------------------------------------------------------------------


def test_the_first_rule_that_fits_wins_and_each_caller_has_its_own_count(sim: Simulation) -> None:
    sim.play(
        Rule(id="one", when=When(prompt_re="hi", nth=(2,)), script=(Reply(text="second"),)),
        Rule(id="two", script=(Reply(text="{key}#{n}"),)),
    )
    said = [text_of(sim, model=f"claude-sonnet-5-5@{key}") for key in ("a", "a", "b", "a", "b")]
    assert said == ["a#1", "second", "b#1", "a#2", "second"]


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a*)*\1$", r"^(?:(?=a)a+)+$"])
def test_a_pattern_that_would_go_back_without_end_is_given_up_and_everybody_is_answered(
    sim: Simulation, pattern: str
) -> None:
    sim.play(Rule(id="endless", when=When(prompt_re=pattern), script=(Reply(text="found"),)))
    assert text_of(sim, messages=[{"role": "user", "content": "a" * 40 + "!"}]).startswith("ack ")


def test_a_pattern_may_look_ahead_and_is_found_anywhere(sim: Simulation) -> None:
    sim.play(Rule(id="others", when=When(prompt_re="(?i)^(?!.*secret).*PAPER"), script=(Reply(text="found"),)))
    said = [text_of(sim, messages=[{"role": "user", "content": each}]) for each in ("a paper", "a secret paper")]
    assert (said[0], said[1][:4]) == ("found", "ack ")


def test_a_script_is_told_turn_by_turn_and_its_last_turn_stays(sim: Simulation) -> None:
    sim.play(Rule(id="told", script=(Reply(text="1"), Reply(text="2"))))
    assert [text_of(sim) for _ in range(3)] == ["1", "2", "2"]


def test_a_marker_in_the_text_says_who_asks(sim: Simulation) -> None:
    sim.play(Rule(id="mine", when=When(key="agent-*"), script=(Reply(text="yours"),)))
    assert text_of(sim, system="[[sim:agent-7]] be brief") == "yours"
    assert text_of(sim) == "ack anthropic-a#1"


def test_the_end_of_a_key_says_who_asks_where_nothing_nearer_does(sim: Simulation) -> None:
    for key, model, caller in (("k@me", "claude-sonnet-5-5@you", "me"), ("k", "claude-sonnet-5-5@you", "you")):
        for headers in {"x-api-key": key}, {"authorization": f"Bearer {key}"}:
            sim.play()
            assert text_of(sim, model=model, headers={**AUTH, "authorization": "", **headers}) == f"ack {caller}#1"


def test_one_listener_fails_while_the_other_stands(sim: Simulation) -> None:
    sim.play(Rule(id="out", when=When(listener="anthropic-b"), fault=Fault(name="http_status", code=529)))
    assert (message(sim)[0], message(sim, "anthropic-b")[0]) == (200, 529)


def asked(key: str) -> Asked:
    return Asked(listener="anthropic", endpoint="messages", key=key, model="m", prompt="p")


@given(st.permutations([key for key in "abc" for _ in range(20)]), st.integers())
def test_however_calls_overlap_the_same_ones_are_hit(order: list[str], seed: int) -> None:
    scenario = Scenario((Rule(id="flaky", when=When(p=0.4)),), seed)

    def hits(keys: list[str]) -> dict[str, list[bool]]:
        director = Director(scenario)
        found: dict[str, list[bool]] = {}
        for key in keys:
            found.setdefault(key, []).append(director.choose(asked(key)).rule.id == "flaky")
        return found

    assert hits(order) == hits(sorted(order))


def test_draws_are_even() -> None:
    draws = [draw(1, "rule", "key", n) for n in range(4_000)]
    assert 0.47 < sum(draws) / len(draws) < 0.53
    assert 350 < sum(each < 0.1 for each in draws) < 450


def test_a_scenario_is_read_from_a_document() -> None:
    scenario = scenario_of(
        {
            "seed": 42,
            "rules": [
                {
                    "id": "warm",
                    "when": {"nth": [1, 2]},
                    "then": {"fault": "http_status", "code": 429, "retry_after": 0.2},
                },
                {
                    "when": {"has_tool": "go", "max": 3},
                    "then": {"script": [{"tool_calls": [{"name": "go"}]}, "done"], "latency": 1},
                },
            ],
        }
    )
    warm, told = scenario.rules
    assert (warm.fault.code, warm.fault.retry_after, warm.when.nth) == (429, 0.2, (1, 2))
    assert (told.id, told.when.max, told.latency, told.script[1].text) == ("rule-2", 3, Spread("fixed", 1.0), "done")


@pytest.mark.parametrize("rule", [{"id": "x", "when": {"colour": 1}}, {"id": "x", "then": {"reply": {"words": "a"}}}])
def test_a_rule_that_is_wrong_is_named(rule: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="rule x"):
        scenario_of({"rules": [rule]})


# --- what it remembers, and its admin door ----------------------------------------------------------------------------


def test_the_log_holds_every_attempt_without_its_key(sim: Simulation) -> None:
    message(sim)
    (seen,) = sim.wait(lambda attempts: len(attempts) == 1 and attempts[0].t_end is not None)
    assert (seen.listener, seen.path, seen.status, seen.rule) == ("anthropic-a", "/v1/messages", 200, "otherwise")
    assert seen.t_arrive <= seen.t_first_byte <= seen.t_end
    assert "secret" not in json.dumps(seen.shown())
    assert len(seen.body_sha256) == 64


def test_a_caller_that_hangs_up_is_seen(sim: Simulation) -> None:
    sim.play(Rule(id="hang", fault=Fault(name="hang_headers")))
    connection = http.client.HTTPConnection("127.0.0.1", sim.ports["anthropic-a"])
    connection.request("POST", "/v1/messages", json.dumps(MESSAGE), AUTH)
    sim.wait(bool)
    connection.close()
    (seen,) = sim.wait(lambda attempts: attempts[0].client_disconnected_at is not None)
    assert seen.t_end is None


def test_a_caller_that_hung_up_before_another_asked_is_seen_to_have(sim: Simulation) -> None:
    one, other = (http.client.HTTPConnection("127.0.0.1", sim.ports["anthropic-a"]) for _ in range(2))
    for each in (one, other):
        each.request("POST", "/v1/messages", json.dumps(MESSAGE), AUTH)
        each.getresponse().read()
    sim.play(Rule(id="hang", fault=Fault(name="hang_headers")))
    busy, held, free = sim._loop, threading.Event(), threading.Event()
    busy.call_soon_threadsafe(lambda: (held.set(), free.wait()))
    held.wait()
    for each in (one, other):
        each.request("POST", "/v1/messages", json.dumps(MESSAGE), AUTH)
        each.close()
    free.set()
    gone = sim.wait(lambda attempts: len(attempts) == 2 and all(each.client_disconnected_at for each in attempts))
    assert most_at_once(gone) == 1


def test_a_gate_holds_an_answer_until_it_is_released_over_the_admin_door(sim: Simulation) -> None:
    sim.play(Rule(id="held", script=(Reply(text="free"),), gate="door"))
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(text_of(sim)))
    thread.start()
    sim.wait(lambda attempts: bool(attempts) and attempts[0].rule == "held")
    assert said == []
    assert call(sim, "ollama", "POST", "/_sim/gate/door/release")[0] == 200
    thread.join()
    assert said == ["free"]


@pytest.mark.parametrize(("listener", "path"), [("anthropic-a", "/v1/models"), ("ollama", "/api/tags")])
def test_a_key_that_is_refused_for_everything_is_refused_for_the_list_of_models_too(
    sim: Simulation, listener: str, path: str
) -> None:
    wrong_key = Fault(name="http_status", code=401)
    for when, status in ((When(), 401), (When(listener=listener), 401), (When(listener="x*"), 200), (When(p=0.5), 200)):
        sim.play(Rule(id="key", when=when, fault=wrong_key))
        assert call(sim, listener, "GET", path, headers=AUTH)[0] == status, when
    sim.play(Rule(id="down", fault=Fault(name="http_status", code=529)))
    assert call(sim, listener, "GET", path, headers=AUTH)[0] == 200


LISTS = [("anthropic-a", "GET", "/v1/models"), ("ollama", "GET", "/api/tags"), ("ollama", "HEAD", "/")]


@pytest.mark.parametrize(("listener", "method", "path"), LISTS)
def test_what_is_looked_up_is_for_the_rules_that_name_its_endpoint_or_its_method(
    sim: Simulation, listener: str, method: str, path: str
) -> None:
    down = Fault(name="http_status", code=503)
    meant = (When(endpoint="models"), When(method=method), When(endpoint="models", method=method, nth=(1,)))
    for when in (*meant, When(listener=listener), When(key="*"), When(method="POST")):
        sim.play(Rule(id="down", when=when, fault=down))
        assert call(sim, listener, method, path, headers=AUTH)[0] == (503 if when in meant else 200), when


def test_who_asks_a_model_is_not_for_a_rule_about_what_is_looked_up_nor_counted_with_it(sim: Simulation) -> None:
    sim.play(
        Rule(id="down", when=When(endpoint="models", nth=(2,)), fault=Fault(name="http_status", code=503)),
        Rule(id="rest", script=(Reply(text="first"), Reply(text="second"))),
    )
    assert [call(sim, "ollama", "GET", "/api/tags")[0] for _ in range(3)] == [200, 503, 200]
    assert [chat(sim)[1]["message"]["content"] for _ in range(2)] == ["first", "second"]
    assert [each.rule for each in sim.attempts()] == ["", "down", "", "rest", "rest"]


def test_a_list_of_models_goes_wrong_on_the_wire_and_waits_like_any_answer(sim: Simulation) -> None:
    lists = When(endpoint="models")
    sim.play(Rule(id="torn", when=lists, fault=Fault(name="rst", phase="headers")))
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        call(sim, "ollama", "GET", "/api/tags")
    sim.play(Rule(id="odd", when=lists, fault=Fault(name="malformed_json")))
    status, body = call(sim, "ollama", "GET", "/api/tags")
    assert status == 200
    with pytest.raises(ValueError, match="delimiter"):
        json.loads(body)
    sim.play(Rule(id="held", when=lists, gate="door"))
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(call(sim, "ollama", "GET", "/api/tags")[0]))
    thread.start()
    sim.wait(lambda attempts: bool(attempts) and attempts[0].rule == "held")
    assert (chat(sim)[0], found) == (200, [])
    sim.release("door")
    thread.join()
    assert found == [200]


def test_a_gate_that_no_rule_has_is_not_released_in_silence(sim: Simulation) -> None:
    sim.play(Rule(id="held", gate="door"))
    status, body = call(sim, "ollama", "POST", "/_sim/gate/dor/release")
    assert (status, json.loads(body)) == (404, {"error": "no rule has a gate 'dor'; there are door"})


def test_the_admin_door_shows_the_log_and_takes_a_scenario(sim: Simulation) -> None:
    document = {"rules": [{"id": "new", "then": {"reply": "changed"}}]}
    assert call(sim, "ollama", "PUT", "/_sim/scenario", document)[0] == 200
    assert chat(sim)[1]["message"]["content"] == "changed"
    _, body = call(sim, "ollama", "GET", "/_sim/log?since=0")
    assert [(each["rule"], "body" in each) for each in json.loads(body)] == [("new", False)]
    (told,) = json.loads(call(sim, "ollama", "GET", "/_sim/log?body=1")[1])
    assert told["body"] == CHAT
    assert len(json.dumps(CHAT)) < told["bytes_in"] < len(json.dumps(CHAT)) + 1_000
    for wrong in "since=abc", "since=", "body=2", "sinse=1":
        assert call(sim, "ollama", "GET", f"/_sim/log?{wrong}")[0] == 400
    assert json.loads(call(sim, "ollama", "GET", "/_sim/stats")[1])["attempts"] == 1
    for when in {"colour": 1}, {"listener": "nobody"}:
        assert call(sim, "ollama", "PUT", "/_sim/scenario", {"rules": [{"when": when}]})[0] == 400
    status, told = call(sim, "ollama", "PUT", "/_sim/scenario", b"x")
    assert (status, json.loads(told)["error"].partition(":")[0]) == (400, "`scenario` is no JSON")
    assert call(sim, "ollama", "GET", "/_sim/nothing")[0] == 404
    assert call(sim, "ollama", "POST", "/_sim/reset")[0] == 200
    assert sim.attempts() == ()


def test_one_connection_serves_many_requests_one_after_the_other(sim: Simulation) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", sim.ports["ollama"], timeout=10)
    for _ in range(3):
        connection.request("POST", "/api/chat", json.dumps(CHAT))
        connection.getresponse().read()
    connection.close()
    assert len({each.connection for each in sim.attempts()}) == 1


ENDLESS = {"hang_headers", "hang_informational", "hang_body", "pings_only"}


@pytest.mark.parametrize("name", sorted({*FAULTS, *SPOILED, "http_status"} - ENDLESS))
def test_after_every_fault_it_answers_the_next_caller(sim: Simulation, name: str) -> None:
    sim.play(Rule(id="wrong", when=When(max=1), fault=Fault(name=name, after=1, interval=0.0001)))
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
        call(sim, "anthropic-a", "POST", "/v1/messages", MESSAGE | {"stream": True}, headers=AUTH)
    assert message(sim)[0] == 200


@pytest.mark.parametrize("name", sorted(ENDLESS))
@pytest.mark.parametrize("pauses", [{"interval": 0.0}, {"time_scale": 0.0}], ids=["no interval", "no time"])
def test_who_hangs_without_a_pause_leaves_the_others_their_turn(
    sim: Simulation, name: str, pauses: dict[str, float]
) -> None:
    fault = Fault(name=name, after=1, interval=pauses.get("interval", 0.05))
    sim.play(Rule(id="hangs", when=When(max=1), fault=fault), time_scale=pauses.get("time_scale", 1.0))
    data = json.dumps(MESSAGE | {"stream": True}).encode()
    head = "\r\n".join(["POST /v1/messages HTTP/1.1", *(f"{key}: {each}" for key, each in AUTH.items())])
    with socket.create_connection(("127.0.0.1", sim.ports["anthropic-a"]), timeout=10) as plug:
        plug.sendall(f"{head}\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)
        sim.wait(lambda attempts: any(each.rule == "hangs" for each in attempts))
        assert message(sim)[0] == 200
        (hung, _) = sim.attempts()
        assert hung.t_end is None


@pytest.mark.parametrize("size", [1, 1 << 20, 2_500_000])
def test_a_huge_body_has_as_many_bytes_as_are_said(size: int) -> None:
    steps = list(plan(Answer(200, (b"{}",)), Fault(name="huge_body", bytes=size)))
    assert sum(step.data.count(b"x") for step in steps[1:] if isinstance(step, Send)) == size


# --- HTTP by hand -----------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200), st.lists(st.integers(1, 40), max_size=20), st.booleans())
def test_a_request_in_pieces_is_read_whole_and_once(body: bytes, cuts: list[int], chunked: bool) -> None:
    if chunked:
        head = b"POST /x?a=1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        wire = head + (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    else:
        wire = b"POST /x?a=1 HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    buffer, found, rest = bytearray(), [], wire
    for cut in [*cuts, len(wire)]:
        buffer += rest[:cut]
        rest = rest[cut:]
        if (request := take_request(buffer)) is not None:
            found.append(request)
    assert [(each.path, each.query, each.body) for each in found] == [("/x", "a=1", body)]
    assert buffer == b""


LENGTH = b"POST / HTTP/1.1\r\ncontent-length: %s\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n%s\r\n"


@pytest.mark.parametrize(
    "wire",
    [
        b"\0\0\r\n\r\n", b"GET /\r\n\r\n", b"x" * 70_000,
        LENGTH % b"x", LENGTH % b"-1", LENGTH % b"1_0", LENGTH % b"99999999",
        CHUNKED % b"x", CHUNKED % b"1\r\nA\r\n-5", CHUNKED % b"fffffff", CHUNKED % b"1\r\nA\r\n2000000",
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused(wire: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of them
        take_request(bytearray(wire))


def test_who_sends_no_request_is_told_in_a_whole_answer(sim: Simulation) -> None:
    with socket.create_connection(("127.0.0.1", sim.ports["ollama"]), timeout=10) as plug:
        plug.sendall(b"nonsense\r\n\r\n")
        answer = http.client.HTTPResponse(plug)
        answer.begin()
        assert (answer.status, answer.read()) == (400, b"bad request")


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_says_where_it_listens_and_ends_at_a_signal(tmp_path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text("rules:\n - id: hello\n   then: {reply: {text: from a file}}\n")
    command = [
        sys.executable,
        "-c",
        "import sys; from darumad.sim import main; sys.exit(main())",
        "--listen",
        "ollama-x",
        "--scenario",
        str(scenario),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        ports = json.loads(process.stdout.readline())
        assert set(ports) == {"ollama-x", "admin"}
        connection = http.client.HTTPConnection("127.0.0.1", ports["ollama-x"], timeout=10)
        connection.request("POST", "/api/chat", json.dumps(CHAT))
        assert json.loads(connection.getresponse().read())["message"]["content"] == "from a file"
        connection.close()
        process.terminate()
        assert process.wait(10) == 0
        assert f"ollama-x is at http://127.0.0.1:{ports['ollama-x']}\n" in process.stderr.read()


@pytest.mark.parametrize("argv", [["--listen", "mistral=:0"], ["--scenario", "/nowhere"], ["--admin", "x"]])
def test_a_wrong_invocation_ends_with_2_and_a_sentence(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert said.startswith("daruma sim: ")
    assert "\n  -> `daruma sim --help` names" in said


@pytest.mark.parametrize("name", ["", " ", "a\nb"])
def test_a_model_without_a_name_is_refused_by_its_option_and_nothing_is_served(name: str) -> None:
    command = [sys.executable, "-m", "darumad", "sim", "--model", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("daruma sim: --model must be a model's name, on one line\n")


def test_it_ends_without_a_word_when_whoever_read_its_ports_has_gone() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-W", "always", "-m", "darumad", "sim", "--listen", "ollama"]
    done = subprocess.run(command, stdout=writes, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writes)
    assert done.returncode == 141
    assert [line.partition(" is at ")[0] for line in done.stderr.splitlines()] == [
        "daruma sim: ollama", "daruma sim: admin",
    ]  # fmt: skip


def test_it_imports_nothing_of_the_daemon() -> None:
    code = "import sys, darumad.sim; print(sorted({m.split('.')[1] for m in sys.modules if m.startswith('darumad.')}))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "['sim']"


@pytest.mark.parametrize(
    ("listener", "method", "path"),
    [
        ("anthropic-a", "POST", "/v1/messages"),
        ("ollama", "POST", "/api/chat"),
        ("ollama", "PUT", "/_sim/scenario"),
    ],
)
def test_a_document_that_nobody_can_read_is_refused_and_not_left_without_an_answer(
    sim: Simulation, listener: str, method: str, path: str
) -> None:
    deep = b'{"rules": ' + b"[" * 50_000
    assert call(sim, listener, method, path, deep, headers=AUTH)[0] == 400
