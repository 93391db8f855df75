"""OpenAI's protocol as the simulator speaks it, and what every listener grants, is and remembers."""

import http.client
import json
from dataclasses import replace
from math import inf

import pytest

from darumad.sim import Fault, Quota, Reply, Rule, Server, Simulation, Spread, ToolUse, When, scenario_of, stats
from darumad.sim.embedding import vector
from darumad.sim.log import Attempt
from darumad.sim.spread import spread_of
from darumad.sim.stats import calls, most_at_once, most_within

AUTH = {"authorization": "Bearer secret"}
CHAT = {"model": "gpt-sim", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def simulation():
    with Simulation("openai", "openai-b", "ollama") as running:
        yield running


@pytest.fixture
def sim(simulation: Simulation) -> Simulation:
    simulation.play()
    return simulation


def post(sim: Simulation, path: str, body: object, listener: str = "openai", headers: object = None):
    connection = http.client.HTTPConnection("127.0.0.1", sim.ports[listener], timeout=10)
    try:
        connection.request("POST", path, json.dumps(body), AUTH if headers is None else headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        connection.close()


def chat(sim: Simulation, listener: str = "openai", **fields: object):
    status, body, _ = post(sim, "/v1/chat/completions", CHAT | fields, listener)
    return status, json.loads(body)


def test_a_completion_has_the_vendor_s_form(sim: Simulation) -> None:
    status, body = chat(sim)
    (choice,) = body["choices"]
    assert (status, body["object"], choice["finish_reason"]) == (200, "chat.completion", "stop")
    assert choice["message"] == {"role": "assistant", "content": "ack openai#1", "refusal": None}
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]


def streamed(sim: Simulation, **fields: object):
    _, body, _ = post(sim, "/v1/chat/completions", CHAT | {"stream": True} | fields)
    *events, done = [line[6:] for line in body.decode().splitlines() if line]
    assert done == "[DONE]"
    return [json.loads(each) for each in events]


def test_a_stream_tells_no_usage_to_who_did_not_ask_for_it(sim: Simulation) -> None:
    chunks = streamed(sim)
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert not any("usage" in each for each in chunks)


def test_a_stream_begins_with_a_role_and_ends_with_a_reason_the_usage_and_done(sim: Simulation) -> None:
    sim.play(Rule(id="said", script=(Reply(text="word " * 20),)))
    chunks = streamed(sim, stream_options={"include_usage": True})
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(each["choices"][0]["delta"].get("content", "") for each in chunks[:-1]) == "word " * 20
    assert (chunks[-2]["choices"][0]["finish_reason"], chunks[-1]["choices"]) == ("stop", [])


def test_a_tool_call_s_arguments_are_a_text_and_its_answer_must_follow(sim: Simulation) -> None:
    sim.play(Rule(id="tool", when=When(nth=(1,)), script=(Reply(tool_calls=(ToolUse(name="go", args={"a": 1}),)),)))
    _, body = chat(sim, tools=[{"type": "function", "function": {"name": "go"}}])
    (call,) = body["choices"][0]["message"]["tool_calls"]
    assert (json.loads(call["function"]["arguments"]), body["choices"][0]["finish_reason"]) == ({"a": 1}, "tool_calls")
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    assert chat(sim, messages=[*CHAT["messages"], said, {"role": "user", "content": "and?"}])[0] == 400
    assert chat(sim, messages=[*CHAT["messages"], said])[0] == 400
    done = {"role": "tool", "tool_call_id": call["id"], "content": "ok"}
    assert chat(sim, messages=[*CHAT["messages"], said, done])[0] == 200
    assert chat(sim, messages=[*CHAT["messages"], done])[0] == 400


def test_whoever_has_no_key_is_answered_as_by_a_server_of_one_s_own(sim: Simulation) -> None:
    assert post(sim, "/v1/chat/completions", CHAT, headers={})[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "refusal"),
    [
        ("/v1/chat/completions", {"messages": []}, (400, None)),
        ("/v1/chat/completions", CHAT | {"messages": []}, (400, None)),
        ("/v1/chat/completions", CHAT | {"model": "gpt-none"}, (404, "model_not_found")),
        ("/v1/nothing", {}, (404, "unknown_url")),
        ("/v1/embeddings", {"model": "m"}, (400, None)),
        ("/v1/embeddings", {"model": "embedding-sim", "input": 5}, (400, None)),
        ("/v1/chat/completions", CHAT | {"messages": [1]}, (400, None)),
        ("/v1/chat/completions", CHAT | {"tools": [1]}, (400, None)),
        ("/v1/chat/completions", CHAT | {"max_tokens": "x"}, (400, None)),
    ],
)
def test_what_the_api_refuses_has_its_code(
    sim: Simulation, path: str, body: object, refusal: tuple[int, str | None]
) -> None:
    status, said, _ = post(sim, path, body)
    assert (status, json.loads(said)["error"]["code"]) == refusal


@pytest.mark.parametrize(
    ("listener", "path", "model"),
    [("openai", "/v1/embeddings", "embedding-sim"), ("ollama", "/api/embed", "llama3.2")],
    ids=lambda each: each,
)
def test_texts_with_the_same_words_are_close(sim: Simulation, listener: str, path: str, model: str) -> None:
    texts = ["the cat sat", "the cat sat there", "stock prices fell"]
    _, body, _ = post(sim, path, {"model": model, "input": texts}, listener)
    found = json.loads(body)
    a, b, c = found.get("embeddings") or [each["embedding"] for each in found["data"]]
    near, far = (sum(x * y for x, y in zip(a, each, strict=True)) for each in (b, c))
    assert (near > 0.8, far < 0.3) == (True, True)


def test_a_text_without_words_has_a_direction_too() -> None:
    assert sum(each * each for each in vector("")) == pytest.approx(1.0)


# --- what a listener grants and is ------------------------------------------------------------------------------------


def test_a_quota_is_told_in_headers_and_refused_when_it_is_used_up(sim: Simulation) -> None:
    sim.play(quotas={"openai": Quota(requests=2, input_tokens=1_000)})
    _, _, told = post(sim, "/v1/chat/completions", CHAT)
    assert (told["x-ratelimit-limit-requests"], told["x-ratelimit-remaining-requests"]) == ("2", "1")
    assert told["x-ratelimit-reset-requests"].startswith(("0m", "1m"))
    assert chat(sim)[0] == 200
    status, _, headers = post(sim, "/v1/chat/completions", CHAT)
    assert (status, 50 < float(headers["retry-after"]) <= 60) == (429, True)
    assert chat(sim, "openai-b")[0] == 200


def test_a_minute_of_a_quota_is_as_long_as_the_scenario_s_time_makes_it(sim: Simulation) -> None:
    sim.play(quotas={"openai": Quota(requests=1)}, time_scale=1e-9)
    assert [chat(sim)[0] for _ in range(3)] == [200] * 3, "many minutes lie between two requests"
    sim.play(quotas={"openai": Quota(requests=1)}, time_scale=10)
    _, _, told = post(sim, "/v1/chat/completions", CHAT)
    assert told["x-ratelimit-reset-requests"].startswith(("9m", "10m"))
    status, _, headers = post(sim, "/v1/chat/completions", CHAT)
    assert (status, 500 < float(headers["retry-after"]) <= 600) == (429, True)
    sim.play(quotas={"openai": Quota(requests=1)}, time_scale=0)
    assert [chat(sim)[0] for _ in range(2)] == [200, 429], "where no wait takes time, a minute is one"


def test_a_window_of_time_begins_when_the_scenario_s_time_has_come(sim: Simulation) -> None:
    late = Rule(id="late", when=When(t=(3_600.0, inf)), script=(Reply(text="late"),))
    for scale, rule in (1.0, "otherwise"), (1e-9, "late"):
        sim.play(late, time_scale=scale)
        chat(sim)
        assert sim.attempts()[-1].rule == rule


def test_a_prompt_beyond_the_window_is_cut_in_silence_or_refused(sim: Simulation) -> None:
    body = {"model": "llama3.2", "messages": [{"role": "user", "content": "word " * 200}], "stream": False}
    sim.play(servers={"ollama": Server(num_ctx=100)})
    assert json.loads(post(sim, "/api/chat", body, "ollama")[1])["prompt_eval_count"] == 52
    sim.play(servers={"ollama": Server(num_ctx=100, overflow="error")})
    assert post(sim, "/api/chat", body, "ollama")[0] == 400


@pytest.mark.parametrize(
    ("asked", "granted", "read"), [(60, None, 32), (60, 100, 32), (1_000, 100, 52), (1_000, None, 312)]
)
def test_a_window_is_what_is_asked_for_and_no_larger_than_is_granted(
    sim: Simulation, asked: int, granted: int | None, read: int
) -> None:
    sim.play(servers={"ollama": Server(num_ctx=granted)})
    said = [{"role": "user", "content": "word " * 200}]
    body = {"model": "llama3.2", "messages": said, "stream": False, "options": {"num_ctx": asked}}
    assert json.loads(post(sim, "/api/chat", body, "ollama")[1])["prompt_eval_count"] == read


def test_a_key_that_is_none_of_the_server_s_is_refused_in_the_vendor_s_words_whatever_is_asked(sim: Simulation) -> None:
    sim.play(servers={"*": Server(api_key="sk-team-*")})
    assert post(sim, "/v1/chat/completions", CHAT, headers={"authorization": "Bearer sk-team-1"})[0] == 200
    for headers in ({"authorization": "Bearer sk-other"}, {}):
        status, said, _ = post(sim, "/v1/chat/completions", CHAT, headers=headers)
        assert (status, json.loads(said)["error"]["code"]) == (401, "invalid_api_key")
        assert post(sim, "/v1/models", CHAT, headers=headers)[0] == 401
    status, said, _ = post(sim, "/api/chat", {"model": "llama3.2"}, "ollama", headers={})
    assert (status, json.loads(said)) == (401, {"error": "unauthorized"})


def test_who_finds_the_queue_full_is_told_that_the_server_is_busy(sim: Simulation) -> None:
    sim.play(Rule(id="held", gate="door"), servers={"ollama": Server(parallel=1, queue=0)})
    first = http.client.HTTPConnection("127.0.0.1", sim.ports["ollama"], timeout=10)
    first.request("POST", "/api/chat", json.dumps({"model": "llama3.2"}))
    sim.wait(lambda attempts: any(each.rule == "held" for each in attempts))
    status, said, _ = post(sim, "/api/chat", {"model": "llama3.2"}, "ollama")
    assert (status, "maximum pending requests exceeded" in json.loads(said)["error"]) == (503, True)
    sim.release("door")
    assert first.getresponse().status == 200
    first.close()


def test_rules_know_the_time_the_headers_and_how_many_calls_are_open(sim: Simulation) -> None:
    sim.play(
        Rule(id="later", when=When(t=(3_600.0, 7_200.0)), fault=Fault(name="http_status")),
        Rule(id="marked", when=When(header="X-Mark"), script=(Reply(text="marked"),)),
        Rule(id="crowded", when=When(concurrency_gt=1), script=(Reply(text="crowded"),)),
    )
    assert chat(sim)[1]["choices"][0]["message"]["content"] == "ack openai#1"
    _, body, _ = post(sim, "/v1/chat/completions", CHAT, headers=AUTH | {"x-mark": "1"})
    assert json.loads(body)["choices"][0]["message"]["content"] == "marked"


# --- spreads and figures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "middle", "late"),
    [
        (0.5, 0.5, 0.5),
        ({"uniform": [1, 3]}, 2.0, 2.98),
        ({"lognormal": [100, 0.4]}, 100.0, 253.6),
        ({"pareto": [1, 10]}, 1.0, 10.0),
    ],
)
def test_a_spread_picks_by_its_draw(raw: object, middle: float, late: float) -> None:
    spread = spread_of("latency", raw)
    assert (spread.at(0.5), spread.at(0.99)) == (pytest.approx(middle), pytest.approx(late, rel=0.01))
    assert spread.times(2).at(0.99) == pytest.approx(2 * spread.at(0.99))


@pytest.mark.parametrize("raw", ["soon", {"normal": 1}, {"fixed": 1, "uniform": [1, 2]}, {"uniform": ["a", 2]}])
def test_what_is_no_spread_is_refused(raw: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of them
        spread_of("latency", raw)


def test_a_whole_scenario_is_read_from_a_document() -> None:
    scenario = scenario_of({
        "time_scale": 0.1,
        "quotas": {"openai*": {"requests": 60}},
        "servers": {"ollama": {"parallel": 1}},
        "rules": [
            {
                "when": {"nth": "every:3", "t": [5, 12]},
                "then": {
                    "reply": {"tokens": {"lognormal": [120, 0.4]}},
                    "latency": {"ttft_ms": 180, "per_token_ms": 4},
                },
            },
            {"then": {"script": [{"json": {"a": 1}}, {"echo": True}]}},
        ],
    })  # fmt: skip
    first, second = scenario.rules
    assert (first.when.every, first.when.t, first.latency) == (3, (5.0, 12.0), Spread("fixed", 0.18))
    assert first.per_frame == pytest.approx(0.03)
    assert [each.text for each in second.script] == ['{"a": 1}', "{prompt}"]
    assert (scenario.quota("openai-b").requests, scenario.server("ollama").parallel) == (60, 1)
    assert (scenario.quota("anthropic").requests, scenario.time_scale) == (None, 0.1)


@pytest.mark.parametrize(
    "document",
    [[], {"rule": []}, {"quotas": {"x": {"rpm": 1}}}, {"rules": [{"id": "x", "then": {"fault": "http-status"}}]},
     {"rules": [{"id": "x", "then": {"fault_name": "rst"}}]}],
)  # fmt: skip
def test_a_document_that_is_wrong_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match=r"scenario|quotas.x|rule x"):
        scenario_of(document)


def attempt(number: int, begun: float, ended: float | None, gone: float | None = None) -> Attempt:
    return Attempt(
        number=number, listener="l", connection=1, method="POST", path="/", headers={}, body_sha256="",
        t_arrive=begun, t_end=ended, client_disconnected_at=gone, key=f"k{number % 2}", input_tokens=10,
    )  # fmt: skip


def test_the_figures_come_from_the_log_alone() -> None:
    attempts = [attempt(1, 0.0, 5.0), attempt(2, 1.0, None, 2.0), attempt(3, 2.0, None), attempt(4, 70.0, 71.0)]
    found = stats(attempts)
    assert (found["attempts"], found["calls"], found["open"], found["most_at_once"]) == (4, 4, 1, 2)
    assert found["tries_of_a_call"] == {1: 4}
    one = [replace(each, call="one") for each in attempts]
    assert (calls(one), stats([*one, attempt(5, 80.0, 81.0)])["tries_of_a_call"]) == (1, {4: 1, 1: 1})
    assert found["most_in_a_minute"] == {"requests": 3, "input_tokens": 30, "output_tokens": 0}
    assert stats(attempts, minute=100.0)["listeners"]["l"]["most_in_a_minute"]["requests"] == 4
    assert found["keys"]["k0"]["attempts"] == 2
    assert found["retry_counts"] == {"0": 4}
    assert most_at_once([]) == most_within([], 60) == 0
