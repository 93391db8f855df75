"""How the daemon ends: for each reason its exit code, and what becomes of the work that runs."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from darumad.actors import RoleActor
from darumad.errors import DarumaError, Unavailable
from darumad.names import Seconds
from darumad.settings import AgentSettings, Bridge, Supervision
from darumad.settings import Daemon as DaemonSettings
from tests.daemon.serving import Manager, Serving, served, settings
from tests.kit import eventually
from tests.kit.daemon import DARUMA, PATIENCE, Daemon, rows
from tests.kit.waking import wake

SLOW = Path(__file__).parent / "templates" / "until_released.py"
"""An agent that works until the file that its item names is there."""
HOLDS = SLOW.with_name("holds_the_loop.py")
"""An agent that holds the loop of all agents for as long as the file that its item names is not there."""
HANGS = SLOW.with_name("hangs_in_a_thread.py")
"""An agent that never comes back from a thread; the file that its item names is there once it is in it."""

THREADS = Path(__file__).with_name("threads.c")
"""Lets a process begin so many threads and no more."""


class Wedged:
    """Makes a handler of the role actors wait until the test is over."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._go = threading.Event()
        monkeypatch.setattr(RoleActor, "on_receive", lambda *_: self._go.wait(60))

    def release(self) -> None:
        self._go.set()


@pytest.fixture
def wedged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Wedged]]:
    made: list[Wedged] = []

    def make() -> Wedged:
        made.append(Wedged(monkeypatch))
        return made[-1]

    yield make
    for each in made:
        each.release()


# --- by its own hand --------------------------------------------------------------------------------------------------


def test_three_threads_that_never_come_back_end_it_with_75_and_say_so(
    home: Path, monkeypatch: pytest.MonkeyPatch, wedged: Callable[[], Wedged], capfd: pytest.CaptureFixture[str]
) -> None:
    quick = Supervision(ping_deadline=Seconds(0.2), shutdown=Seconds(0.2))
    with served(settings(home, supervision=quick), monkeypatch) as daemon:
        wake(daemon.client, "echo")
        held = wedged()
        for row in daemon.engine.root.tree():
            if row.path.endswith(("executor/1", "executor/2", "echo/1")):
                row.ref.tell("anything")
        assert daemon.exit_code() == 75
        held.release()
    events = _events_left_in(home)
    assert events[-1]["type"] == "daemon.stopping"
    assert events[-1]["data"]["why"] == "3 threads were abandoned and still run"
    assert "abandoned" not in capfd.readouterr().out


def test_a_root_whose_children_fall_too_often_ends_it_with_70_and_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(settings(home), monkeypatch) as daemon:
        daemon.engine.root.echo(_raise)
        assert daemon.exit_code() == 70
    assert _events_left_in(home)[-1]["data"]["why"] == "the root supervisor gave up"


def test_a_disk_that_fails_ends_it_with_74(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(settings(home), monkeypatch) as daemon:
        db = daemon.kernel.journal._writer._db
        commit = db.commit

        def full() -> None:
            if db.value("SELECT count(*) FROM item"):  # what the daemon commits by itself before that goes through
                raise OSError(28, "No space left on device")
            commit()

        monkeypatch.setattr(db, "commit", full)
        with pytest.raises(DarumaError) as lost:
            daemon.client.submit({"description": "Say it again", "agent": "echo"})
        assert lost.value.code == "io_error"
        assert daemon.exit_code() == 74


def test_a_state_directory_that_is_removed_ends_it_with_74(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(settings(home), monkeypatch) as daemon:
        (home / "state").rename(home / "elsewhere")
        assert daemon.exit_code() == 74
    events = [each["data"] for each in _events_left_in(home, "elsewhere")]
    assert events[-1]["why"] == "the journal's file was removed or replaced while it was written"


@pytest.mark.parametrize(
    ("leak_cap", "replaced", "why"),
    [
        (2, 1, "the agents' loop must be replaced, and with its thread 2 would be given up"),
        (9, 2, "the agents' loop had to be replaced 3 times within 60 minutes"),
    ],
)
def test_a_loop_that_is_held_up_once_too_often_ends_it_with_75(
    home: Path, monkeypatch: pytest.MonkeyPatch, leak_cap: int, replaced: int, why: str
) -> None:
    impatient = Bridge(stalled_after=Seconds(0.2), dead_after=Seconds(0.3))
    monkeypatch.setattr("darumad.daemon.WITHIN", Seconds(0.5))
    monkeypatch.setattr("darumad.daemon.assembly.WITHIN", Seconds(0.5))
    go = threading.Event()
    given = settings(home, bridge=impatient, supervision=Supervision(leak_cap=leak_cap))
    with served(given, monkeypatch) as daemon:
        for count in range(replaced + 1):
            eventually(lambda count=count: _replaced(daemon) == count)
            daemon.kernel.loops.post(lambda: go.wait(60))
        assert daemon.exit_code() == 75
        go.set()
    events = _events_left_in(home)
    types = [each["type"] for each in events if each["type"].startswith("bridge.")]
    assert types == ["bridge.stalled", "bridge.replaced"] * replaced + ["bridge.stalled"]
    assert events[-1]["data"]["why"] == why


def test_who_holds_up_the_loop_when_that_ends_the_daemon_is_put_aside_before_it_ends(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = Bridge(stalled_after=Seconds(0.2), dead_after=Seconds(0.3))
    agents = {"holds": AgentSettings(template=str(HOLDS), isolation="none")}
    given = settings(home, bridge=impatient, agents=agents, supervision=Supervision(leak_cap=2))
    with served(given, monkeypatch) as daemon:
        held = {"id": "bad", "description": "Take your time", "agent": "holds", "input": str(home / "never")}
        daemon.client.submit(held)
        assert daemon.exit_code() == 75
    (parked,) = [each for each in _events_left_in(home) if each["type"] == "work.parked"]
    assert parked["data"]["reason"] == "template"
    assert _left(home, "bad") == ("parked", "executing", 0)


# --- because it was asked ---------------------------------------------------------------------------------------------


@pytest.fixture
def works(home: Path) -> dict[str, AgentSettings]:
    return {"slow": AgentSettings(template=str(SLOW), isolation="none")}


def test_a_stop_lets_what_runs_finish_with_the_doors_open(
    home: Path, monkeypatch: pytest.MonkeyPatch, works: dict[str, AgentSettings]
) -> None:
    manager = Manager(home / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(home / "notify"))
    unhurried = DaemonSettings(drain_timeout=Seconds(30.0))
    with served(settings(home, daemon=unhurried, agents=works), monkeypatch) as daemon:
        _begin(daemon, home, "one")
        daemon.client.call("stop", {})
        manager.until("STOPPING=1")
        with pytest.raises(Unavailable) as refused:
            daemon.client.submit({"description": "One more thing", "agent": "echo"})
        assert refused.value.code == "draining"
        assert daemon.client.call("work show", id="one")["state"] == "running"
        (home / "go").touch()
        assert daemon.exit_code() == 0
    manager.close()
    assert _left(home, "one")[:2] == ("ready", "reviewing"), "its stage is kept, the next one is for the next boot"


def test_a_stop_puts_back_what_does_not_finish_in_time(
    home: Path, monkeypatch: pytest.MonkeyPatch, works: dict[str, AgentSettings]
) -> None:
    with served(settings(home, agents=works), monkeypatch) as daemon:
        _begin(daemon, home, "one")
        daemon.client.call("stop", {})
        assert daemon.exit_code() == 0
    assert _left(home, "one") == ("ready", "executing", 0), "put back through no fault of its own"


def test_a_drain_lets_work_finish_its_stage_and_a_resume_goes_on(
    home: Path, monkeypatch: pytest.MonkeyPatch, works: dict[str, AgentSettings]
) -> None:
    with served(settings(home, agents=works), monkeypatch) as daemon:
        _begin(daemon, home, "one")
        daemon.client.call("drain", {})
        (home / "go").touch()
        eventually(lambda: daemon.client.call("work show", id="one")["state"] == "ready")
        assert daemon.client.call("work show", id="one")["stage"] == "reviewing"
        assert daemon.client.call("health")["ready"] is False
        daemon.client.call("resume", {})
        assert daemon.client.wait("one", within=20.0)["state"] == "succeeded"


def test_sigterm_twice_is_one_stop_without_its_drain(home: Path) -> None:
    agents = {"slow": {"template": str(SLOW), "isolation": "none"}}
    given = {"executors": {"count": 1}, "provider": {"use": "offline"}, "agents": agents}
    daemon = Daemon(home, given, {"DARUMA_DAEMON__DRAIN_TIMEOUT": "10m"}).start()
    try:
        daemon.submit("one", agent="slow", input=str(home / "go"))
        daemon.becomes("one", state="running", stage="executing")
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGTERM)
        daemon.until("daemon.stopping")
        began = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(30) == 0
        assert time.monotonic() - began < 30
    finally:
        daemon.close()
    assert _left(home, "one") == ("ready", "executing", 0)


ENDLESS = """
import threading
from pathlib import Path

Path(__file__).with_name("begun").touch()
threading.Event().wait()
"""


def test_a_sigterm_before_it_stands_waits_for_no_templates_file_and_begins_nothing(home: Path) -> None:
    agents = {"slow": {"template": str(SLOW), "isolation": "none"}}
    given: dict[str, Any] = {"executors": {"count": 1}, "provider": {"use": "offline"}, "agents": agents}
    daemon = Daemon(home, given).start()
    try:
        daemon.submit("one", agent="slow", input=str(home / "go"))
        daemon.becomes("one", state="running", stage="executing")
        before = len(daemon.events("work.assigned"))
        daemon.kill()
        (home / "endless.py").write_text(ENDLESS)
        agents["endless"] = {"template": "endless.py", "isolation": "none"}
        daemon.config.write_text(yaml.safe_dump(given))
        process = daemon.launch()
        eventually((home / "begun").exists, PATIENCE)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        daemon.close()
    assert "template_still_loading" not in daemon.said()
    assert [each["type"] for each in _events_left_in(home)].count("work.assigned") == before


WITH_AN_ENDLESS_START = """
import sys, threading
from pathlib import Path
from darumad.actors import RoleActor
from darumad.cli import main

def waits(*_):
    Path("begun").touch()
    threading.Event().wait()

RoleActor.__init__ = waits
sys.exit(main(sys.argv[1:]))
"""


def test_a_start_that_waits_for_ever_ends_when_it_is_told_to_twice_with_75_and_shows_what_it_waits_for(
    home: Path,
) -> None:
    daemon = Daemon(home, {"provider": {"use": "offline"}})
    serve = [sys.executable, "-c", WITH_AN_ENDLESS_START, "serve", "--config", daemon.config]
    with subprocess.Popen(serve, env=daemon.environ, cwd=home, stderr=subprocess.PIPE, text=True) as process:
        eventually((home / "begun").exists, PATIENCE)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(PATIENCE) == 75
        finally:
            process.kill()
        assert process.stderr is not None
        said = process.stderr.read()
    assert "daruma: it was told to stop, and its start has not come to an end" in said
    assert "in waits\n" in said


def test_an_actor_that_never_comes_back_does_not_hold_a_stop_which_shows_its_stack_and_ends_with_75(
    home: Path, monkeypatch: pytest.MonkeyPatch, wedged: Callable[[], Wedged], capfd: pytest.CaptureFixture[str]
) -> None:
    quick = Supervision(shutdown=Seconds(0.2))
    with served(settings(home, supervision=quick), monkeypatch) as daemon:
        wake(daemon.client, "echo")
        held = wedged()
        (row,) = [each for each in daemon.engine.root.tree() if each.path.endswith("echo/1")]
        row.ref.tell("anything")
        eventually(lambda: _depth(daemon, row.path) == 0)
        daemon.client.call("stop", {})
        assert daemon.exit_code() == 75
        held.release()
    assert "test_ending.py" in capfd.readouterr().err, "the stack of the handler that waits"


def _replaced(daemon: Serving) -> int:
    return [each["type"] for each in daemon.client.events()].count("bridge.replaced")


def _depth(daemon: Serving, path: str) -> int:
    return next(each.mailbox_depth for each in daemon.engine.root.tree() if each.path == path)


def test_a_thread_of_an_agent_that_never_comes_back_does_not_hold_the_process(home: Path) -> None:
    agents = {"hangs": {"template": str(HANGS), "isolation": "none"}}
    given = {"executors": {"count": 1}, "provider": {"use": "offline"}, "agents": agents}
    daemon = Daemon(home, given, {"DARUMA_DAEMON__DRAIN_TIMEOUT": "0"}).start()
    try:
        daemon.submit("one", agent="hangs", input=str(home / "begun"))
        eventually((home / "begun").exists)
        assert daemon.stop() == 0
    finally:
        daemon.close()


def test_signals_that_ask_for_nothing_end_nothing_from_its_first_moment_on(home: Path) -> None:
    daemon = Daemon(home, {})
    daemon.config.unlink()
    os.mkfifo(daemon.config)  # a settings file that is read when the test says so
    serve = [DARUMA, "serve", "--config", daemon.config]
    with subprocess.Popen(serve, env=daemon.environ, cwd=home, stderr=subprocess.DEVNULL) as process:
        with daemon.config.open("w") as file:
            for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
                process.send_signal(number)
            file.write("nonsense: 1")
        assert process.wait(PATIENCE) == 78


def _begin(daemon: Serving, home: Path, name: str) -> None:
    """One item, seen running in the hands of the slow agent."""
    daemon.client.submit({"id": name, "description": "Take your time", "agent": "slow", "input": str(home / "go")})
    shown = lambda: daemon.client.call("work show", id=name)  # noqa: E731 - a name for one question
    eventually(lambda: (shown()["state"], shown()["stage"]) == ("running", "executing"))


def _raise() -> None:
    raise RuntimeError("a defect of the root's own")


def _events_left_in(home: Path, state: str = "state") -> list[dict[str, Any]]:
    """Everything that was recorded, as the daemon left it."""
    (found,) = rows(home / state / "journal.db", ["SELECT type, data FROM event ORDER BY seq"])
    return [{"type": kind, "data": json.loads(data)} for kind, data in found]


def _left(home: Path, name: str) -> tuple[Any, ...]:
    """State, stage and failures of an item, as the daemon left it."""
    question = f"SELECT state, stage, failures FROM record WHERE uid = '{name}'"
    ((found,),) = rows(home / "state" / "journal.db", [question])
    return found


# --- before it stands -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [0, 3, 9, 20])
def test_without_threads_it_says_who_gives_them_ends_with_75_and_begins_once_there_are_some(
    tmp_path: Path, threads: int
) -> None:
    shim = tmp_path / "threads.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", shim, THREADS, "-ldl", "-lpthread"], check=True)
    daemon = Daemon(tmp_path, {"provider": {"use": "offline"}}, {"LD_PRELOAD": str(shim), "THREADS": str(threads)})
    ended = daemon.run("serve", "--config", str(daemon.config))
    assert ended.returncode == 75
    assert "no more threads" in ended.stderr
    assert "`TasksMax=`" in ended.stderr
    assert "\nTraceback" not in ended.stderr  # a supervisor's line in the log may hold one
    del daemon.environ["LD_PRELOAD"]
    try:
        assert daemon.start().stop() == 0
    finally:
        daemon.close()
