"""Agents that cannot be made, and a log that cannot be written: each command that a newcomer would ask says so."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from darumad.cli import main
from darumad.names import AgentName
from tests.cli.conftest import Run
from tests.control.room import Served

Program = Callable[..., "subprocess.CompletedProcess[str]"]
TEXT = "Write a report of all the specific files because the goal must be met using only the tools"
SETTINGS = """
agents:
  gen:
    template: genral
  gone:
    template: gone.py
    isolation: none
  raises:
    template: raises.py
    isolation: none
provider:
  use: offline
"""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Runs `daruma` at home in an empty place, with no daemon up."""

    def run(*argv: str) -> "subprocess.CompletedProcess[str]":
        environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "DARUMA_SOCKET": str(tmp_path / "none.sock")}
        command = [sys.executable, "-m", "darumad", *argv]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "raises.py").write_text("raise ValueError('not today')\n")
    (tmp_path / "daruma.yaml").write_text(SETTINGS)
    return tmp_path / "daruma.yaml"


def test_config_check_names_each_with_its_line_and_what_was_perhaps_meant(program: Program, file: Path) -> None:
    done = program("config", "check", "--config", str(file))
    assert done.returncode == 78
    said = {line.split(":")[0].strip(): line for line in done.stderr.splitlines()}
    assert "did you mean `general`? (daruma.yaml line 4)" in said["agents.gen.template"]
    assert "gone.py: there is no such file (daruma.yaml line 6)" in said["agents.gone.template"]
    assert "ValueError: not today (raises.py:1) (daruma.yaml line 9)" in said["agents.raises.template"]


def test_config_check_tells_what_is_wrong_in_the_file_and_in_what_it_names_at_once_each_with_its_line(
    program: Program, file: Path, tmp_path: Path
) -> None:
    file.write_text(
        "itm: {}\nlog:\n  file: /proc/nope/log\n  level: loud\nproviders:\n  anthropic:\n    key_file: nokey\n"
        "agents:\n  gen:\n    template: genral\n    isolation: process\n"
        "  raises:\n    template: raises.py\n    isolation: none\n  run:\n    template: run.py\n"
    )
    (tmp_path / "run.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    done = program("config", "check", "--config", str(file))
    first, *said, _ = done.stderr.splitlines()
    assert (done.returncode, first) == (78, f"daruma: 8 settings are wrong in {file}")
    assert [(each.split(":")[0].strip(), each.rpartition(" (")[2]) for each in said] == [
        ("itm", "daruma.yaml line 1)"),
        ("log.level", "daruma.yaml line 4)"),
        ("agents.gen.isolation", "daruma.yaml line 11)"),
        ("agents.run.isolation", "daruma.yaml line 15)"),
        ("log.file", "daruma.yaml line 3)"),
        ("providers.anthropic.key_file", "daruma.yaml line 7)"),
        ("agents.gen.template", "daruma.yaml line 10)"),
        ("agents.raises.template", "daruma.yaml line 13)"),
    ]
    assert not (tmp_path / "ran").exists(), "no file is run before the settings say that it may"


def test_config_check_is_content_with_what_ships(program: Program, file: Path) -> None:
    file.write_text("agents: {mine: {template: documentation}}\n")
    done = program("config", "check", "--config", str(file))
    assert (done.returncode, done.stdout) == (0, "the settings are right, and every agent can be made\n")


def test_doctor_counts_them_with_no_daemon_up(program: Program, file: Path) -> None:
    done = program("doctor", "--config", str(file))
    assert done.returncode == 1
    (said,) = (line for line in done.stdout.splitlines() if "agents " in line)
    assert "BAD   agents" in said
    assert "6 of 9 can be made; gen: no template is called genral" in said
    assert "-> Correct the template" in said


def test_doctor_and_health_tell_those_of_the_daemon_that_is_up(served: Served, run: Run) -> None:
    served.room.unmade[AgentName("echo")] = "echo.py: there is no such file"
    served.room.providers.refusing["far"] = "it refused a call"
    doctor, health = run("doctor"), run("health")
    assert "5 of 6 can be made; echo: echo.py: there is no such file" in doctor.stdout
    assert health.returncode == 0, "no restart mends it"
    assert health.stdout.startswith("live, ready, degraded, needs somebody\n")
    assert "  !!   agent echo, which cannot be made: echo.py: there is no such file. Correct it, then" in health.stdout
    assert "  !!   provider far: it refused a call" in health.stdout


def test_health_says_by_its_exit_code_that_something_needs_somebody_only_where_that_is_asked_for(
    served: Served, run: Run
) -> None:
    assert run("health", "--strict").returncode == 0
    served.room.is_paused = True
    plain, strict = run("health"), run("health", "--strict")
    assert plain.stdout == strict.stdout
    assert plain.stdout.startswith("live, ready, needs somebody\n")
    assert "  !!   waits for the daemon, which is paused: `daruma resume` ends that\n" in plain.stdout
    assert (plain.returncode, strict.returncode) == (0, 5)
    served.room.signs["loop"] = "it is late"
    assert run("health", "--strict").returncode == 1


def test_submit_show_and_wait_say_what_its_item_waits_for(served: Served, run: Run) -> None:
    served.room.unmade[AgentName("echo")] = "echo.py: there is no such file"
    waits = "waits for agent echo, which cannot be made: echo.py: there is no such file"
    submitted = run("submit", TEXT, "--id", "one", "--agent", "echo")
    assert (submitted.returncode, submitted.stdout) == (0, "one  ready\n")
    assert f"daruma: it {waits}" in submitted.stderr
    assert "waits for    agent echo, which cannot be made" in run("work", "show", "one").stdout
    waited = run("work", "wait", "one", "--within", "100ms")
    assert waited.returncode == 7
    assert f"one: {waits}" in waited.stderr
    assert f"one is still ready: it {waits}" in waited.stderr


def test_an_item_of_an_agent_that_the_settings_no_longer_name_says_so(served: Served, run: Run) -> None:
    served.client.submit({"id": "one", "description": TEXT, "agent": "echo", "success_criteria": "it is there"})
    served.room.definitions = {}
    assert "agent echo, which the settings no longer name" in run("work", "show", "one").stdout


def test_agents_show_prints_a_long_reason_whole_and_once(served: Served, run: Run) -> None:
    why = "/srv/daruma/templates/contents.py: " + "a module that it imports is missing " * 5 + "(contents.py:17)"
    served.room.instances[0] = {**served.room.instances[0], "last_error": why}
    assert run("agents", "show", "echo").stdout.count(why) == 1


def test_agents_show_says_why_no_agent_can_be_made_where_none_was_started_yet(served: Served, run: Run) -> None:
    served.room.unmade[AgentName("documentation")] = "documentation.py: there is no such file"
    asleep, why = run("agents", "show", "documentation").stdout.splitlines()[-2:]
    assert asleep.startswith("asleep: ")
    assert why == "  ! documentation.py: there is no such file"


@pytest.mark.parametrize("where", ["a-directory", "/proc/nope/log"])
def test_a_log_file_that_cannot_be_written_is_told_by_check_doctor_and_serve(
    program: Program, tmp_path: Path, where: str
) -> None:
    (tmp_path / "a-directory").mkdir()
    file = tmp_path / "a-directory" / "daruma.yaml"
    file.write_text(f"state_dir: {tmp_path / 'state'}\nlog: {{file: {tmp_path / where}}}\nprovider: {{use: offline}}\n")
    for command in (("config", "check"), ("serve",)):
        done = program(*command, "--config", str(file))
        assert done.returncode == 78, done.stderr
        assert f"log.file: is {tmp_path / where}, and cannot be written: " in done.stderr
    doctor = program("doctor", "--config", str(file))
    assert doctor.returncode == 1
    assert f"BAD   log file         log.file is {tmp_path / where}" in doctor.stdout
    assert not (tmp_path / "state").exists()


def test_every_key_file_that_cannot_be_used_is_told_by_check_at_once_beside_the_agents(
    program: Program, file: Path, tmp_path: Path
) -> None:
    (tmp_path / "open").write_text("sk-a-key-that-all-may-read\n")
    (tmp_path / "open").chmod(0o644)
    file.write_text(
        f"state_dir: {tmp_path / 'state'}\n"
        "providers: {anthropic: {key_file: nofile}, openai: {key_file: open}}\n"
        "agents: {gen: {template: genral}}\n"
    )
    check, doctor = program("config", "check", "--config", str(file)), program("doctor", "--config", str(file))
    assert (check.returncode, doctor.returncode) == (78, 1)
    assert f"providers.anthropic.key_file: {tmp_path / 'nofile'}: No such file" in check.stderr
    assert f"providers.openai.key_file: {tmp_path / 'open'} can be read by others" in check.stderr
    assert f"anthropic: {tmp_path / 'nofile'}: No such file" in doctor.stdout
    assert "agents.gen.template: cannot be used" in check.stderr


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ("provider: {use: offline}", 0),
        ("provider: {use: auto}", 78),
        ("provider: {use: anthropic}", 78),
        ("provider: {use: ollama}\nagents: {judge: {provider: anthropic}}", 78),
        ("provider: {use: ollama}\nproviders: {ollama: {model: m, fallback: anthropic}}", 78),
    ],
)
def test_a_variable_that_holds_no_key_is_told_by_check_where_somebody_would_be_asked_with_it(
    capsys: pytest.CaptureFixture[str], file: Path, monkeypatch: pytest.MonkeyPatch, settings: str, code: int
) -> None:
    file.write_text(f"{settings}\n")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-a\nX-Evil: 1")
    assert main(["config", "check", "--config", str(file)]) == code
    assert ("$ANTHROPIC_API_KEY holds a key that no request can carry" in capsys.readouterr().err) is (code != 0)


def test_doctor_names_the_variable_that_holds_no_key_of_whoever_would_be_asked_with_it(
    capsys: pytest.CaptureFixture[str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "providers: {far: {kind: openai, base_url: 'http://127.0.0.1:9/v1', model: m, key_env: FAR_KEY}}"
    file.write_text(f"state_dir: {file.parent / 'state'}\nprovider: {{use: offline}}\n{own}\n")
    monkeypatch.setenv("FAR_KEY", "sk-f\u00e4r")
    asked = ["doctor", "--config", str(file), "--socket", str(file.parent / "none.sock")]
    assert main(asked) == 0
    file.write_text(f"{file.read_text()}agents: {{judge: {{provider: far}}}}\n")
    capsys.readouterr()
    assert main(asked) == 1
    said = capsys.readouterr().out
    assert "far: $FAR_KEY holds a key that no request can carry: it has a character that is not ASCII" in said
    assert "sk-f" not in said


def test_config_check_and_doctor_name_what_to_install_for_a_provider_that_would_be_asked(
    capsys: pytest.CaptureFixture[str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "providers: {far: {kind: openai, base_url: 'http://127.0.0.1:9/v1', model: m}}"
    file.write_text(f"state_dir: {file.parent / 'state'}\nprovider: {{use: offline}}\n{own}\n")
    monkeypatch.setitem(sys.modules, "openai", None)
    assert main(["config", "check", "--config", str(file)]) == 0, "nobody would ask it"
    file.write_text(file.read_text().replace("use: offline", "use: far"))
    assert main(["config", "check", "--config", str(file)]) == 78
    wanted = "openai cannot be used, for openai is not installed: pip install --upgrade 'darumad[openai]'"
    assert f"providers.far.kind: {wanted}" in capsys.readouterr().err
    assert main(["doctor", "--config", str(file), "--socket", str(file.parent / "none.sock")]) == 1
    assert f"far: {wanted}" in capsys.readouterr().out


def test_doctor_names_where_the_key_of_the_provider_comes_from(
    capsys: pytest.CaptureFixture[str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(f"state_dir: {file.parent / 'state'}\nprovider: {{use: anthropic}}\n")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-a-good-one")
    assert main(["doctor", "--config", str(file), "--socket", str(file.parent / "none.sock")]) == 0
    said = capsys.readouterr().out
    assert "; its key is from environment: ANTHROPIC_API_KEY\n" in said
    assert "sk-a" not in said


def test_doctor_tells_what_is_amiss_with_a_provider_that_the_daemon_uses(served: Served, run: Run) -> None:
    served.room.providers.state = "error"
    done = run("doctor")
    assert "BAD   provider         offline: a test; far: because -> " in done.stdout
    assert done.returncode == 1


def test_a_log_file_that_is_yet_to_be_made_is_left_to_the_daemon(program: Program, tmp_path: Path) -> None:
    log, file = tmp_path / "logs" / "daruma.log", tmp_path / "daruma.yaml"
    file.write_text(f"log: {{file: {log}}}\n")
    assert program("config", "check", "--config", str(file)).returncode == 0
    assert not log.parent.exists()


def test_show_wait_and_status_say_that_the_daemon_is_paused_and_what_ends_it(served: Served, run: Run) -> None:
    assert run("pause").returncode == 0
    submitted = run("submit", TEXT, "--id", "one", "--agent", "echo")
    paused = "the daemon, which is paused: `daruma resume` ends that"
    assert f"it waits for {paused}" in submitted.stderr
    assert f"waits for    {paused}\n" in run("work", "show", "one").stdout
    waited = run("work", "wait", "one", "--within", "100ms")
    assert waited.returncode == 7
    assert f"one: waits for {paused}" in waited.stderr
    assert f"waits for    {paused} (one, since 20" in run("status").stdout
