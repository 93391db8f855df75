"""Reading settings: the last to speak wins, every wrong key is told at once, and no secret is ever shown."""

import os
from collections.abc import Callable, Mapping
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest

from darumad.errors import Problem, Refused
from darumad.settings import Settings, as_written, flat, load, origins, places

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> Path:
        file = tmp_path / "daruma.yaml"
        file.write_text(text)
        return file

    return written


def problems_of(file: Path | None, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    with pytest.raises(Refused) as refused:
        load(file, environ or {})
    assert refused.value.code == "bad_settings"
    assert refused.value.entry.exit == 78
    assert "wrong in" in refused.value.message
    return {each.pointer: each.detail for each in refused.value.problems}


def test_an_empty_file_is_all_defaults(write: Write) -> None:
    assert load(write(""), {}) == load(write("# nothing\n"), {}) == load(write("item:\nproviders:\n"), {})


def test_with_no_file_at_all_the_defaults_hold(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    assert as_written(load(None, environ))["item"] == as_written(Settings())["item"]


def test_the_file_speaks_over_the_defaults_and_the_environment_over_the_file(write: Write) -> None:
    file = write("item:\n  timeout: 10m\n  backoff: 3s\n")
    settings = load(file, {"DARUMA_ITEM__BACKOFF": "4s"})
    assert (settings.item.timeout, settings.item.backoff, settings.item.backoff_max) == (600, 4, 300)
    told = origins(settings)
    assert told["item.timeout"] == "daruma.yaml line 2"
    assert told["item.backoff"] == "$DARUMA_ITEM__BACKOFF"
    assert told["item.backoff_max"] == "default"
    assert told.keys() == flat(as_written(settings)).keys()


def test_every_wrong_key_is_told_at_once_with_its_line_and_what_was_perhaps_meant(write: Write) -> None:
    file = write(
        "executers: {count: 4}\n"
        "item:\n"
        "  timeout: 90\n"
        "  timeot: 3s\n"
        "queue: 5\n"
        "log: {level: loud}\n"
        "executors: {count: 0}\n"
        "provider: {use: lokal}\n"
        "providers:\n"
        "  local: {kind: ollama}\n"
        "  other: {model: x}\n"
        "budget: {daily: 5 EUR}\n"
    )
    told = problems_of(file, {"DARUMA_ITEM__GRACE": "5s", "DARUMA_EXECUTORS__COUNT": "many"})
    assert told == {
        "executers": "is no setting; did you mean `executors`? (daruma.yaml line 1)",
        "item.timeout": (
            "must be a duration with its unit, such as 250ms, 90s, 5m or 1h30m, not 90 (daruma.yaml line 3)"
        ),
        "item.timeot": "is no setting; did you mean `timeout`? (daruma.yaml line 4)",
        "item.grace": "is no setting ($DARUMA_ITEM__GRACE)",
        "queue": "must hold further keys (daruma.yaml line 5)",
        "log.level": "must be one of debug, info, warning, error, not 'loud' (daruma.yaml line 6)",
        "executors.count": "must be a whole number, not 'many' ($DARUMA_EXECUTORS__COUNT)",
        "provider.use": "names no provider; did you mean `local`? (daruma.yaml line 8)",
        "providers.other": "says no `kind`: one of anthropic, ollama, openai (daruma.yaml line 11)",
        "budget.daily": "must be an amount with its currency, such as 2.50 USD, not '5 EUR' (daruma.yaml line 12)",
    }


def lines_of(file: Path) -> list[tuple[str, str, str]]:
    """Of each problem its key, its first words, and its line."""
    with pytest.raises(Refused) as refused:
        load(file, {})
    told = [(each.pointer, each.detail) for each in refused.value.problems]
    return sorted((pointer, " ".join(said.split()[:2]), said.rpartition(" line ")[2][0]) for pointer, said in told)


def test_of_a_section_that_stands_twice_what_is_wrong_in_either_is_told(write: Write) -> None:
    assert lines_of(write("item:\n  timeot: 3s\n  timeout: 90\nlog: {}\nitem:\n  backoff: soon\n")) == [
        ("item", "stands twice", "5"),
        ("item.backoff", "must be", "6"),
        ("item.timeot", "is no", "2"),
        ("item.timeout", "must be", "3"),
    ]


def test_of_a_value_that_stands_twice_what_is_wrong_with_either_is_told(write: Write) -> None:
    text = (
        "item:\n  timeout: 90\n  timeout: 80\n  timeot: 1s\n  timeot: 2s\n"
        "provider:\n  use: zzz\nprovider:\n  use: ollama\n"
    )
    assert lines_of(write(text)) == [
        ("item.timeot", "is no", "4"),
        ("item.timeot", "is no", "5"),
        ("item.timeot", "stands twice", "5"),
        ("item.timeout", "must be", "2"),
        ("item.timeout", "must be", "3"),
        ("item.timeout", "stands twice", "3"),
        ("provider", "stands twice", "8"),
        ("provider.use", "names no", "7"),
        ("provider.use", "stands twice", "9"),
    ]


def test_of_what_stands_as_a_value_and_as_a_section_and_of_a_third_each_is_told(write: Write) -> None:
    assert lines_of(write("item: 5\nitem:\n  timeout: 1\nitem:\n  timeout: 2\n  timeout: 3\n")) == [
        ("item", "must hold", "1"),
        ("item", "stands twice", "2"),
        ("item", "stands twice", "4"),
        ("item.timeout", "must be", "3"),
        ("item.timeout", "must be", "5"),
        ("item.timeout", "must be", "6"),
        ("item.timeout", "stands twice", "5"),
        ("item.timeout", "stands twice", "6"),
    ]


def test_what_two_sections_of_one_name_say_together_is_not_held_to_be_unsaid_in_either(write: Write) -> None:
    file = write("providers: {own: {kind: ollama}}\nprovider: {use: own}\nproviders: {own: {model: m}}\n")
    assert lines_of(file) == [("providers", "stands twice", "3"), ("providers.own", "stands twice", "3")]


def test_beside_a_file_that_cannot_be_read_what_is_wrong_in_the_environment_is_told_and_nothing_is_missed_there(
    write: Write,
) -> None:
    environ = {
        "DARUMA_ITEM__TIMEOUT": "5",
        "DARUMA_METRICS__LISTEN": "0.0.0.0:1",
        "DARUMA_PROVIDER__USE": "local",
        "DARUMA_PROVIDERS__LOCAL__MODEL": "m",
        "DARUMA_AGENTS__MINE__TEMPLATE": "./mine.py",
    }
    assert set(problems_of(write("item: ["), environ)) == {"daruma.yaml", "item.timeout", "metrics.listen"}


def test_what_is_wrong_with_a_section_or_missing_from_it_is_told_with_the_line_of_its_name(write: Write) -> None:
    file = write(
        "lane:\n"
        "  default:\n"
        "    max_running: 1\n"
        "agents:\n"
        "  a b:\n"
        "    template: echo\n"
        "  own:\n"
        "    count: 1\n"
        "    template: ./own.py\n"
        "budget:\n"
        "  agents:\n"
        "    ecko:\n"
        "      daily: 1 USD\n"
    )
    told = problems_of(file)
    assert set(told) == {"lane", "agents.a b", "agents.own.isolation", "budget.agents.ecko"}
    lines = {pointer: said.rpartition("(")[2] for pointer, said in told.items()}
    assert lines == {
        "lane": "daruma.yaml line 1)",
        "agents.a b": "daruma.yaml line 5)",
        "agents.own.isolation": "daruma.yaml line 7)",
        "budget.agents.ecko": "daruma.yaml line 12)",
    }


@pytest.mark.parametrize(
    ("text", "pointer", "what"),
    [
        ("item: {backoff: 10m}", "item.backoff", "not be more than `item.backoff_max`"),
        ("provider: {use: zzz}", "provider.use", "there are anthropic, auto, offline, ollama, openai"),
        ("item: {backoff_jitter: 1.5}", "item.backoff_jitter", "at most 1"),
        ("item: {backoff_factor: .nan}", "item.backoff_factor", "a finite number"),
        pytest.param(f"item: {{backoff_factor: {'9' * 400}}}", "item.backoff_factor", "a number", id="a long number"),
        ("item: {backoff_factor: yes}", "item.backoff_factor", "a number"),
        ("item: {timeout: 0s}", "item.timeout", "more than 0"),
        ("item: {timeout: {a: 1}}", "item.timeout", "one value"),
        ("item: {timeout: [1]}", "item.timeout", "a duration"),
        ("item: {input_roots: [/srv, data]}", "item.input_roots", "absolute paths"),
        ("item: {input_roots: {a: /srv}}", "item.input_roots", "one value"),
        ("control: {socket: ''}", "control.socket", "must be a path, not ''"),
        ("state_dir: ' '", "state_dir", "must be a path, not ' '"),
        ("executors: {count: yes}", "executors.count", "a whole number"),
        ("executors: {count: 2.5}", "executors.count", "a whole number"),
        ("supervision: {degraded_at: 6}", "supervision.degraded_at", "error_limit"),
        ("supervision: {count: {tool_eror: ignore}}", "supervision.count.tool_eror", "did you mean `tool_error`"),
        ("supervision: {count: {tool_error: crash}}", "supervision.count.tool_error", "one of count, ignore"),
        ("metrics: {listen: '0.0.0.0:9464'}", "metrics.listen", "loopback"),
        ("metrics: {listen: '127.0.0.1:99999'}", "metrics.listen", "loopback"),
        pytest.param(f"metrics: {{listen: '127.0.0.1:{'9' * 5_000}'}}", "metrics.listen", "loopback", id="a long port"),
        ("budget: {time_zone: Mars/Olympus}", "budget.time_zone", "no time zone"),
        ("budget: {time_zone: ../etc}", "budget.time_zone", "no time zone"),
        ("daemon: {node: 'a/b'}", "daemon.node", "letters"),
        ("providers: {anthropic: {model: null}}", "providers.anthropic.model", "must name a model"),
        ("providers: {ollama: {base_url: 'localhost:11434'}}", "providers.ollama.base_url", "http://"),
        ('providers: {ollama: {model: "a\\nb"}}', "providers.ollama.model", "a model's name, on one line"),
        ("providers: {openai: {embedding_model: ' '}}", "providers.openai.embedding_model", "on one line"),
        ("providers: {openai: {key_env: 'A=B'}}", "providers.openai.key_env", "without its value"),
        ("providers: {openai: {key_env: $A}}", "providers.openai.key_env", "a variable's name"),
        ("providers: {openai: {first_token: 601s}}", "providers.openai.first_token", "more than `providers.openai.t"),
        ("providers: {openai: {idle: 5s, total: 4s}}", "providers.openai.idle", "more than `providers.openai.t"),
        ("providers: {auto: {kind: ollama}}", "providers.auto", "other than `auto`"),
        ("providers: {offline: {kind: ollama}}", "providers.offline", "and `offline`"),
        ("providers: {ollama: {fallback: ollma}}", "providers.ollama.fallback", "did you mean `ollama`"),
        ("providers: {ollama: {fallback: ollama}}", "providers.ollama.fallback", "leads back to where it began"),
        ("agents: {mine: {template: mine.py}}", "agents.mine.isolation", "must say `none`"),
        ("agents: {mine: {template: ./mine.py}}", "agents.mine.isolation", "must say `none`"),
        ("agents: {mine: {template: ./mine.py, isolation: process}}", "agents.mine.isolation", "one of none"),
        ("agents: {Mine: {template: echo}}", "agents.Mine", "a-z"),
        ("agents: {reviewer: {template: echo}}", "agents.reviewer", "role of the house"),
        ("agents: {mine: {provider: ollma}}", "agents.mine.provider", "did you mean `ollama`"),
        ("agents: [a]", "agents", "must hold names"),
        ("agents: {mine: {offers: [gpu, 'a b']}}", "agents.mine.offers", "not 'a b'"),
        ("agents: {mine: {offers: 5}}", "agents.mine.offers", "a list, not 5"),
        ("agents: {mine: {offers: [gpu, 5]}}", "agents.mine.offers", "a text"),
        ("agents: {mine: {offers: {gpu: yes}}}", "agents.mine.offers", "one value"),
        ("providers: {ollama: {base_url: 'http://there:99999'}}", "providers.ollama.base_url", "1 to 65535"),
        ("providers: {ollama: {base_url: 'http://there:0'}}", "providers.ollama.base_url", "1 to 65535"),
        ("providers: {ollama: {base_url: 'http://[::1'}}", "providers.ollama.base_url", "must be a URL"),
        ("providers: {ollama: {base_url: 'http://exa mple'}}", "providers.ollama.base_url", "no space"),
        ("providers: {ollama: {base_url: ' http://127.0.0.1:1 '}}", "providers.ollama.base_url", "at its ends"),
        ('providers: {ollama: {base_url: "http://there/\\tv1"}}', "providers.ollama.base_url", "no control character"),
        ("providers: {ollama: {base_url: 'http://there/?a=b'}}", "providers.ollama.base_url", "would not be sent"),
        ("providers: {ollama: {base_url: 'http://there/#c'}}", "providers.ollama.base_url", "would not be sent"),
        (
            "providers: {openai: {base_url: 'http://there/v1/chat/completions/'}}",
            "providers.openai.base_url",
            "leave out",
        ),
        ("providers: {anthropic: {base_url: 'http://there/v1/messages'}}", "providers.anthropic.base_url", "leave out"),
        ("providers: {anthropic: {num_ctx: 8192}}", "providers.anthropic.num_ctx", "say `context_window`"),
        ("providers: {ollama: {context_window: 8192}}", "providers.ollama.context_window", "say `num_ctx`"),
        ("budget: {agents: {ecko: {daily: 1 USD}}}", "budget.agents.ecko", "no agent; did you mean `echo`"),
        ("budget: {agents: {nobody: {daily: 1 USD}}}", "budget.agents.nobody", "there are documentation, echo, exec"),
        ("budget: {agents: {echo: {dayly: 1 USD}}}", "budget.agents.echo.dayly", "did you mean `daily`"),
        (f"budget: {{item_calls: {10**26}}}", "budget.item_calls", "a whole number below 2^53"),
        ("budget: {providers: {ollma: {total: 1 USD}}}", "budget.providers.ollma", "did you mean `ollama`"),
        ("budget: {daily_calls: -1}", "budget.daily_calls", "at least 0"),
        ("budget: {unknown_price: free}", "budget.unknown_price", "one of allow, refuse"),
        ("prices: {mine: {input: 1 USD}}", "prices.mine.output", "must be said"),
        ("prices: {mine: {input: 1, output: 1 USD}}", "prices.mine.input", "an amount with its currency"),
        ("item: {timeout: 1m, timeout: 2m}", "item.timeout", "stands twice"),
        ("- a\n- b\n", "daruma.yaml", "no mapping"),
        ("item: [", "daruma.yaml", "line 1"),
        ("item: {timeout: !!python/name:os.system ''}", "item.timeout", "cannot be read"),
        ("control: {socket: '/" + "x" * 107 + "'}", "control.socket", "108 bytes"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(write: Write, text: str, pointer: str, what: str) -> None:
    told = problems_of(write(text))
    assert list(told) == [pointer]
    assert what in told[pointer]


def test_who_stands_in_for_each_other_in_a_circle_is_told_and_whoever_only_leads_into_it_is_not(write: Write) -> None:
    chain = "providers: {anthropic: {fallback: openai}, openai: {fallback: ollama}, ollama: {fallback: openai}}"
    circle = "leads back to where it began (daruma.yaml line 1)"
    assert problems_of(write(chain)) == {"providers.openai.fallback": circle, "providers.ollama.fallback": circle}
    straight = load(write("providers: {anthropic: {fallback: openai}, openai: {fallback: ollama}}"), {})
    assert straight.providers["anthropic"].fallback == "openai"


def test_what_may_not_be_more_may_be_equal(write: Write) -> None:
    equal = load(write("item: {backoff: 5m, backoff_max: 5m}\nsupervision: {degraded_at: 5, error_limit: 5}"), {})
    assert equal.item.backoff == equal.item.backoff_max


def test_a_short_total_asks_nobody_to_say_what_lies_within_it(write: Write) -> None:
    assert load(write("providers: {ollama: {total: 20s}}"), {}).providers["ollama"].total == 20


def test_a_window_that_came_with_a_provider_s_name_is_nothing_that_anybody_said(write: Write) -> None:
    far = "providers: {ollama: {kind: openai, base_url: 'http://there/v1', model: m}}"
    assert load(write(far), {}).providers["ollama"].kind == "openai"


def test_a_limit_may_be_set_for_whoever_asks_a_model(write: Write) -> None:
    settings = load(
        write(
            "agents: {mine: {template: echo}}\n"
            "budget: {agents: {mine: {daily_calls: 1}, executor: {daily_calls: 2}, reviewer: {daily_calls: 3}, "
            "orchestrator: {daily_calls: 4}}}\n"
        ),
        {},
    )
    assert {name: each.daily_calls for name, each in settings.budget.agents.items()} == {
        "mine": 1, "executor": 2, "reviewer": 3, "orchestrator": 4,
    }  # fmt: skip


def test_a_file_that_is_not_there_or_not_text_is_refused_by_its_name(tmp_path: Path) -> None:
    assert "No such file" in problems_of(tmp_path / "none.yaml")[str(tmp_path / "none.yaml")]
    (tmp_path / "binary.yaml").write_bytes(b"item: \xff\xfe")
    assert "no UTF-8" in problems_of(tmp_path / "binary.yaml")[str(tmp_path / "binary.yaml")]


def test_a_secret_in_the_wrong_place_is_not_told_back(write: Write) -> None:
    key = "sk-ant-api03-marker-0123456789abcdef"
    file = write(f"providers:\n  anthropic: {{concurrency: {key}, api_key: {key}, base_url: 'https://me:{key}@x'}}\n")
    with pytest.raises(Refused) as refused:
        load(file, {"DARUMA_EXECUTORS__COUNT": key})
    assert len(refused.value.problems) == 4
    assert "marker" not in refused.value.message + str(refused.value.problems)


def test_a_provider_of_ones_own_begins_as_its_kind_does(write: Write) -> None:
    settings = load(write("providers:\n  local: {kind: ollama, model: qwen, concurrency: 2}\n"), {})
    local = settings.providers["local"]
    assert (local.base_url, local.first_token, local.concurrency, local.model) == (
        "http://127.0.0.1:11434", 300, 2, "qwen",
    )  # fmt: skip
    assert set(settings.providers) == {"anthropic", "ollama", "openai", "local"}


def test_a_name_with_dashes_is_reached_from_the_environment(write: Write) -> None:
    file = write("agents:\n  my-agent: {template: echo}\n")
    settings = load(file, {"DARUMA_AGENTS__MY_AGENT__COUNT": "3", "DARUMA_PROVIDERS__OLLAMA__MODEL": "qwen"})
    assert settings.agents["my-agent"].count == 3
    assert settings.providers["ollama"].model == "qwen"


def test_a_list_stands_in_brackets_and_in_the_environment_between_commas(write: Write) -> None:
    file = write("agents: {mine: {offers: [gpu, git]}, other: {offers: gpu}}\n")
    agents = load(file, {"DARUMA_AGENTS__OTHER__OFFERS": "git, net"}).agents
    assert (agents["mine"].offers, agents["other"].offers) == (("gpu", "git"), ("git", "net"))
    assert as_written(load(file, {}))["agents"]["mine"]["offers"] == ["gpu", "git"]


def test_paths_are_written_as_texts_in_a_list_too(write: Write, tmp_path: Path) -> None:
    file = write(f"item: {{input_roots: [{tmp_path}, /srv]}}\n")
    assert as_written(load(file, {}))["item"]["input_roots"] == [str(tmp_path), "/srv"]


def test_paths_are_meant_from_the_settings_file(write: Write, tmp_path: Path) -> None:
    settings = load(
        write(
            "state_dir: state\nlog: {file: logs/d.log}\n"
            "agents: {mine: {template: templates/mine.py, isolation: none}, plain: {template: echo}}\n"
        ),
        {},
    )
    assert settings.state_dir == tmp_path / "state"
    assert settings.log.file == tmp_path / "logs" / "d.log"
    assert settings.agents["mine"].template == str(tmp_path / "templates" / "mine.py")
    assert settings.agents["plain"].template == "echo"


def test_the_commands_own_variables_are_no_settings(write: Write) -> None:
    file = write("executors: {count: 3}\n")
    assert load(None, {"DARUMA_CONFIG": str(file), "DARUMA_SOCKET": "/x"}).executors.count == 3


def test_optimizers_and_reviewers_follow_the_executors_up_to_32(write: Write) -> None:
    assert load(write("executors: {count: 8}\n"), {}).optimizer_count == 8
    settings = load(write("executors: {count: 64}\nreviewers: {count: 40}\n"), {})
    assert (settings.optimizer_count, settings.reviewer_count) == (32, 40)


def test_days_are_counted_in_utc_also_on_a_machine_that_knows_no_zones(write: Write) -> None:
    assert load(write(""), {}).budget.zone is UTC


@pytest.mark.skipif("Europe/Berlin" not in available_timezones(), reason="this machine knows no time zones")
def test_days_may_be_counted_where_the_operator_lives(write: Write) -> None:
    assert load(write("budget: {time_zone: Europe/Berlin}\n"), {}).budget.zone == ZoneInfo("Europe/Berlin")


def test_a_user_lives_in_xdg_places_and_root_in_the_systems(tmp_path: Path) -> None:
    user = places({"HOME": "/home/u"}, root=False)
    assert user.state == Path("/home/u/.local/state/daruma")
    assert user.socket == Path("/home/u/.local/state/daruma/control.sock")
    assert user.settings_file == Path("/home/u/.config/daruma/daruma.yaml")
    full = places({"HOME": "/h", "XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/r", "XDG_CONFIG_HOME": "/c"}, root=False)
    assert (full.state, full.socket) == (Path("/s/daruma"), Path("/r/daruma/control.sock"))
    root = places({}, root=True)
    assert (root.state, root.socket) == (Path("/var/lib/daruma"), Path("/run/daruma/control.sock"))


def test_a_settings_file_that_nobody_may_look_at_is_not_passed_over(tmp_path: Path) -> None:
    place = tmp_path / ("long" * 64)
    with pytest.raises(Refused) as refused:
        load(None, {"CONFIGURATION_DIRECTORY": str(place)})
    assert refused.value.problems == (Problem(str(place / "daruma.yaml"), "cannot be read: File name too long"),)


def test_the_places_that_systemd_hands_over_win_but_not_over_the_file(write: Write, tmp_path: Path) -> None:
    environ = {"STATE_DIRECTORY": "/var/lib/d:/other", "RUNTIME_DIRECTORY": "/run/d", "HOME": "/h"}
    settings = load(write(""), environ)
    assert (settings.state_dir, settings.control.socket) == (Path("/var/lib/d"), Path("/run/d/control.sock"))
    assert origins(settings)["state_dir"] == "$STATE_DIRECTORY"
    assert load(write("state_dir: /mine\n"), environ).state_dir == Path("/mine")


def test_a_systemd_credential_is_found_by_the_providers_name(write: Write, tmp_path: Path) -> None:
    (tmp_path / "anthropic-api-key").write_text("sk-ant-api03-marker-0123456789abcdef")
    settings = load(write(""), {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert settings.providers["anthropic"].key_file == tmp_path / "anthropic-api-key"
    assert settings.providers["ollama"].key_file is None
    assert origins(settings)["providers.anthropic.key_file"] == "$CREDENTIALS_DIRECTORY"
    assert "marker" not in repr(settings) + str(as_written(settings))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_directory_of_credentials_that_is_closed_is_told_with_whose_it_is(
    write: Write, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    file, closed = write(""), tmp_path / "credentials"
    closed.mkdir(0o700)
    for each in (tmp_path, *tmp_path.parents[:-2]):
        each.chmod(0o755)
    request.addfinalizer(lambda: os.seteuid(0))
    os.seteuid(65534)
    said = problems_of(file, {"CREDENTIALS_DIRECTORY": str(closed)})["$CREDENTIALS_DIRECTORY"]
    assert said.startswith(f"{closed} belongs to root (uid 0) with mode 0700, and this runs as ")
    assert "(uid 65534)" in said
    assert (
        "Permission denied"
        in problems_of(file, {"CREDENTIALS_DIRECTORY": str(closed / "in")})["$CREDENTIALS_DIRECTORY"]
    )


def test_providers_that_name_one_secret_share_a_systemd_credential(write: Write, tmp_path: Path) -> None:
    (tmp_path / "anthropic-api-key").write_text("sk-ant-api03-marker-0123456789abcdef")
    (tmp_path / "fast-api-key").write_text("sk-ant-api03-marker-another-0123456789")
    file = write("providers:\n  fast: {kind: anthropic, secret: anthropic-api-key}\n")
    settings = load(file, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    keys = {name: each.key_file for name, each in settings.providers.items()}
    assert keys["fast"] == keys["anthropic"] == tmp_path / "anthropic-api-key"
    assert as_written(settings)["providers"]["fast"]["secret"] == "anthropic-api-key"
    wrong = write("providers:\n  fast: {kind: anthropic, secret: My key}\n")
    assert "must be a secret's name" in problems_of(wrong)["providers.fast.secret"]


def test_the_lane_of_items_that_name_none_has_no_limit(write: Write) -> None:
    settings = load(write("lanes:\n  tree: {max_running: 1}\n  default: {weight: 2}\n"), {})
    assert (settings.lanes["tree"].max_running, settings.lanes["default"].weight) == (1, 2.0)
    assert set(problems_of(write("lanes:\n  default: {max_running: 1}\n"))) == {"lanes.default.max_running"}


@pytest.mark.parametrize("text", ["a: &a {<<: *a}", "agents: &x {foo: *x}", "[" * 3000])
def test_a_file_that_is_nested_without_end_is_refused(write: Write, text: str) -> None:
    with pytest.raises(Refused) as refused:
        load(write(text), {})
    assert "is nested too deeply, or within itself" in {each.detail for each in refused.value.problems}


def test_a_path_with_a_nul_is_refused(write: Write) -> None:
    assert set(problems_of(write('state_dir: "/tmp/\\0x"'))) == {"state_dir"}
