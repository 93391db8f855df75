"""Scenarios with nonsense in them: each is refused when it is read, with the rule, the key, and what it must be."""

import re
from datetime import date
from pathlib import Path

import pytest

from darumad.sim import Fault, main, scenario_of
from darumad.sim.faults import FAULTS, UNHEARD, VENDOR_FAULTS, plan
from darumad.sim.wire import Answer, Send

WITHIN_ITSELF: list[object] = []
WITHIN_ITSELF.append(WITHIN_ITSELF)
RULES = [
    ({"when": {"wen": 1}}, "rule x: `when` has no wen"),
    ({"than": {}}, "rule x: `rule` has no than; it has id, then, when"),
    ({"when": {"nth": "every:0"}}, "`when.nth` must be a count from 1, a list of them, or `every:K`, not 'every:0'"),
    ({"when": {"every": 2}}, "`when` has no every; it has concurrency_gt"),
    ({"when": {"most": 2}}, "listener, max, method, model, nth, p"),
    ({"when": {"nth": ["a"]}}, "`when.nth` must be a count"),
    ({"when": {"p": 2}}, "`when.p` must be from 0 to 1, not 2"),
    ({"when": {"p": True}}, "`when.p` must be a number, not True"),
    ({"when": {"t": [5]}}, "`when.t` must be two numbers of seconds"),
    ({"when": {"t": [5, 5]}}, "`when.t` must be two numbers of seconds, the begin and a later end, not [5, 5]"),
    ({"when": {"t": [-5, -1]}}, "the begin and a later end, not [-5, -1]"),
    ({"when": {"nth": []}}, "`when.nth` must be a count from 1, a list of them, or `every:K`, not []"),
    (
        {"when": {"endpoint": "mesages"}},
        "chat, count_tokens, embed, embeddings, generate, messages, models, not 'mesages'",
    ),
    ({"when": {"method": "get"}}, "`when.method` must be one of DELETE, GET, HEAD, POST, not 'get'"),
    ({"when": {"method": 5}}, "`when.method` must be a text, not 5"),
    ({"when": {"endpoint": ["chat"]}}, "`when.endpoint` must be a text, not ['chat']"),
    ({"when": {"endpoint": "messages", "method": "GET"}}, "`when.method` must be one of POST, not 'GET'"),
    ({"when": {"method": "GET"}, "then": {"reply": "hi"}}, "rule x: a reply is what a model says, and none is asked"),
    (
        {"when": {"endpoint": "models"}, "then": {"fault": "refusal"}},
        "rule x: the fault refusal is what a model says, and none is asked for what is looked up; another fault may be",
    ),
    ({"when": {"prompt_re": "("}}, '`when.prompt_re` is no regular expression of JSON Schema\'s: "(" is'),
    ({"when": {"system_re": "a\\Z"}}, "`when.system_re` is no regular expression of JSON Schema's"),
    ({"when": {"listener": 5}}, "`when.listener` must be a text, not 5"),
    ({"when": {"max": -1}}, "rule x: `when.max` must be at least 1, not -1"),
    ({"when": {"max": "x"}}, "`when.max` must be a whole number, not 'x'"),
    ({"then": {"fault": "bogus"}}, "there is no fault 'bogus'; there are bad_gzip"),
    ({"then": {"fault": ["rst"], "reply": "hi"}}, "there is no fault ['rst']; there are bad_gzip"),
    ({"then": {"fault": "http_status", "code": "abc"}}, "`then.code` must be a whole number, not 'abc'"),
    ({"then": {"fault": "http_status", "code": 9999}}, "`then.code` must be from 200 to 599"),
    ({"then": {"fault": "http_status", "headers": 5}}, "`then.headers` must be a mapping, not 5"),
    ({"then": {"fault": "rst", "phase": "sideways"}}, "`then.phase` must be one of accept, headers, body, stream"),
    ({"then": {"fault": "http_status", "retry_after": -5}}, "`then.retry_after` must be at least 0, not -5"),
    (
        {"then": {"fault": "bad_tool_args", "mode": "fence"}},
        "`then.mode` must be one of string, broken, cut, unknown_tool, schema for bad_tool_args, not 'fence'",
    ),
    (
        {"then": {"fault": "schema_violation", "mode": "cut"}},
        "`then.mode` must be one of missing, type, extra, prose, fence for schema_violation, not 'cut'",
    ),
    (
        {"then": {"fault": "rst", "mode": "cut"}},
        "rule x: `then` has mode: the fault rst heeds phase, after, frac",
    ),
    ({"then": {"fault": "empty_body", "code": 500, "frac": 1}}, "`then` has frac, code: the fault empty_body heeds no"),
    ({"then": {"fault": "malformed_json", "after": 1}}, "`then` has after: the fault malformed_json heeds where"),
    ({"then": {"fault": "malformed_json", "where": "args"}}, "`then.where` must be one of head, body, end, not 'args'"),
    ({"then": {"fault": "refusal", "category": "boredom"}}, "`then.category` must be one of cyber, bio, frontier_llm"),
    ({"then": {"reply": "a", "script": ["b"]}}, "rule x: `then` has a `reply` and a `script`, whose first turn"),
    (
        {"then": {"reply": "a", "fault": "http_status"}},
        "rule x: `then.reply` is never heard, for the fault http_status answers in its place: keep one",
    ),
    ({"then": {"script": ["a"], "fault": "empty_body"}}, "`then.script` is never heard, for the fault empty_body"),
    ({"then": {"code": 503, "text": "no"}}, "rule x: `then` has code, text for a fault, and names no `fault`"),
    ({"then": {"reply": {"text": "a", "json": 1}}}, "`reply` says what is answered in text and json: keep one"),
    ({"then": {"latency": "fast"}}, "`then.latency` must be a number, or one of fixed"),
    ({"then": {"latency": {"lognormal": [1]}}}, "`then.latency` must be a number, or one of fixed"),
    ({"then": {"latency": -5}}, "none of them below 0; not -5"),
    ({"then": {"latency": float("inf")}}, "none of them below 0; not inf"),
    ({"then": {"latency": {"uniform": [0, float("nan")]}}}, "none of them below 0; not {'uniform': [0, nan]}"),
    ({"then": {"latency": {"ttft_ms": 10**400}}}, "`then.latency.ttft_ms` must be a number, or one of fixed"),
    ({"then": {"per_frame": float("inf")}}, "`then.per_frame` must be a number, not inf"),
    ({"then": {"latency": {"ttft_ms": 1, "per_token_ms": "x"}}}, "`then.latency.per_token_ms` must be a number"),
    ({"then": {"script": 5}}, "`then.script` must be a list, not 5"),
    ({"then": {"reply": {"txt": "hi"}}}, "`reply` has no txt; it has echo"),
    ({"then": {"reply": {"text": 5}}}, "`reply.text` must be a text, not 5"),
    (
        {"then": {"reply": {"json": {"on": date(2026, 1, 1)}}}},
        "`reply.json` cannot be written as JSON: Object of type date",
    ),
    ({"then": {"reply": {"json": WITHIN_ITSELF}}}, "`reply.json` cannot be written as JSON: Circular reference"),
    (
        {"then": {"reply": {"tool_calls": [{"name": "a", "args": {"on": date(2026, 1, 1)}}]}}},
        "`tool_calls.args` cannot be written as JSON: Object of type date",
    ),
    ({"then": {"reply": {"tool_calls": [5]}}}, "`tool_calls` must be a mapping, not 5"),
    ({"then": {"reply": {"tool_calls": [{}]}}}, "`tool_calls` says no `name`"),
]
DOCUMENTS = [
    ([1, 2], "`scenario` must be a mapping, not"),
    (None, "`scenario` must be a mapping; {} is one without rules"),
    ({"time_scale": float("nan")}, "`time_scale` must be a number, not nan"),
    ({"rules": 5}, "`rules` must be a list, not 5"),
    ({"rules": ["x"]}, "`rule-1` must be a mapping, not 'x'"),
    ({"rules": [{"id": "a"}, {"id": "a"}]}, "two rules are called a"),
    ({"seed": "x"}, "`seed` must be a whole number, not 'x'"),
    ({"speed": 3}, "`scenario` has no speed; it has quotas, rules, seed, servers, time_scale"),
    ({"time_scale": -1}, "`time_scale` must be from 0 to 1e+06, not -1"),
    ({"quotas": {"a*": {"requests": "many"}}}, "`quotas.a*.requests` must be a whole number, not 'many'"),
    ({"quotas": {"a*": 5}}, "`quotas.a*` must be a mapping, not 5"),
    ({"servers": {"ollama": {"parallel": 0}}}, "`servers.ollama.parallel` must be at least 1"),
    ({"servers": {"ollama": {"overflow": "maybe"}}}, "`servers.ollama.overflow` must be one of truncate, error"),
]


@pytest.mark.parametrize(("rule", "said"), RULES, ids=[said for _, said in RULES])
def test_a_rule_with_nonsense_is_refused_with_its_key(rule: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        scenario_of({"rules": [{"id": "x", **rule}]})


@pytest.mark.parametrize("fault", sorted(UNHEARD ^ {*FAULTS, *VENDOR_FAULTS}))
def test_a_fault_may_stand_beside_a_reply_of_which_anything_is_heard(fault: str) -> None:
    answer = Answer(200, (b"heard",), chunked=True)
    heard = [step for step in plan(answer, Fault(name=fault)) if isinstance(step, Send)]
    assert b"he" in b"".join(each.data for each in heard)
    scenario_of({"rules": [{"then": {"reply": "heard", "fault": fault}}]})


@pytest.mark.parametrize("fault", sorted(UNHEARD - VENDOR_FAULTS))
def test_of_a_reply_beside_another_nothing_is_heard(fault: str) -> None:
    sent = [step.data for step in plan(Answer(200, (b"heard",)), Fault(name=fault)) if isinstance(step, Send)]
    assert b"heard" not in b"".join(sent)


@pytest.mark.parametrize(("document", "said"), DOCUMENTS, ids=[said for _, said in DOCUMENTS])
def test_a_document_with_nonsense_is_refused_with_its_key(document: object, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        scenario_of(document)


LISTENERS = ("ollama", "ollama-b")
UNHEARD = [
    (
        {"rules": [{"when": {"listener": "olama-*"}}]},
        "rule rule-1: `when.listener` must fit a listener: ollama, ollama-b; not 'olama-*'",
    ),
    (
        {"rules": [{"when": {"endpoint": "messages"}}]},
        "rule rule-1: `when.endpoint` must be one of chat, embed, embeddings, generate, models, not 'messages'",
    ),
    ({"quotas": {"openai": {}}}, "`quotas` must fit a listener: ollama, ollama-b; not 'openai'"),
    ({"servers": {"openai": {}}}, "`servers` must fit a listener: ollama, ollama-b; not 'openai'"),
]


@pytest.mark.parametrize(("document", "said"), UNHEARD, ids=[said for _, said in UNHEARD])
def test_what_fits_none_of_the_listeners_is_refused_where_they_are_known(
    document: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        scenario_of(document, LISTENERS)
    if "endpoint" not in said:
        scenario_of(document)


def test_a_method_is_one_of_those_of_the_listeners_and_of_the_endpoint_that_the_rule_is_for() -> None:
    rule = {"when": {"listener": "a*", "endpoint": "models", "method": "DELETE"}}
    with pytest.raises(ValueError, match=r"`when\.method` must be one of GET, not 'DELETE'"):
        scenario_of({"rules": [rule]}, ["anthropic", "ollama"])
    scenario_of({"rules": [{"when": {**rule["when"], "listener": "o*"}}]}, ["anthropic", "ollama"])


def test_an_endpoint_is_one_of_those_of_the_listeners_that_the_rule_is_for() -> None:
    rule = {"when": {"listener": "ollama*", "endpoint": "messages"}}
    with pytest.raises(ValueError, match="must be one of chat, embed, embeddings, generate, models, not 'messages'"):
        scenario_of({"rules": [rule]}, ["anthropic", "ollama"])
    scenario_of({"rules": [{"when": {**rule["when"], "listener": "a*"}}]}, ["anthropic", "ollama"])


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(
        "speed: 3\nseed: x\ntime_scale: -1\nquotas: {ollama: {requests: many, cats: 1}}\n"
        "rules:\n- {id: a, wen: {}, when: {nth: 0, t: [2, 1], p: 2, listener: x},\n"
        "   then: {reply: {text: 5, tokens: x}}}\n"
        "- {id: a, then: {fault: rst, phase: sideways, frac: 2, latency: fast, per_frame: -1, script: 5}}\n- 7\n"
    )
    assert main(["--scenario", str(file), "--listen", "ollama"]) == 2
    *said, _ = capsys.readouterr().err.splitlines()
    assert all(each.startswith(f"daruma sim: {file}: ") for each in said)
    keys = [re.findall(r"two rules are called a|`[\w.-]+`", each)[0].strip("`") for each in said]
    assert keys == [
        "scenario", "two rules are called a", "rule", "when.nth", "when.t", "when.p", "when.listener", "reply",
        "reply.tokens", "reply.text", "then.script", "then.frac", "then.phase", "then.latency", "then.per_frame",
        "rule-3", "seed", "quotas.ollama", "quotas.ollama.requests", "time_scale",
    ]  # fmt: skip


def test_the_command_names_the_file_and_what_is_wrong_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text("rules: [{id: a, when: {p: 2}}]")
    assert main(["--scenario", str(file)]) == 2
    assert f"daruma sim: {file}: rule a: `when.p` must be from 0 to 1, not 2" in capsys.readouterr().err
    file.write_text(": : :")
    assert main(["--scenario", str(file)]) == 2
    assert str(file) in capsys.readouterr().err
    file.write_text("[" * 3_000)
    assert main(["--scenario", str(file)]) == 2
    assert f"daruma sim: {file}: it lies too deep" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--listen", "bogus=:0"], "a listener's name begins with one of anthropic"),
        (["--listen", "ollama-a:8901"], "'ollama-a:8901' is no `NAME=:PORT`"),
        (["--listen", "admin=:0"], "a listener's name begins with one of anthropic"),
        (["--listen", "ollama="], "'' is no `:PORT`"),
        (["--listen", "ollama=0.0.0.0:8901"], "only 127.0.0.1 is listened at"),
        (["--listen", "anthropic=:99999"], "is no `:PORT` from 0 to 65535"),
        (["--listen", "anthropic=:0", "--listen", "anthropic=:0"], "two listeners are called anthropic"),
        (["--admin", "x"], "is no `:PORT`"),
        (["--scenario", f"{__file__}.gone"], "No such file"),
    ],
)
def test_a_wrong_invocation_ends_in_words(asked: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(asked) == 2
    assert said in capsys.readouterr().err
