"""Waiting outlives the daemon: one that was met is waited for, one that never answered is not, and neither for ever."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from darumad.cli import doctor, waiting
from darumad.cli.online import Line
from darumad.cli.waiting import AWAY, Patience, tell_end, worst
from darumad.control import client as client_module
from darumad.control.client import PATIENCE, Client
from darumad.errors import Unavailable
from darumad.names import ItemId
from tests.cli.conftest import Run
from tests.cli.test_commands import INTERRUPTIBLE
from tests.cli.test_following import answering
from tests.control.room import CLEAR, Room, Served, serving
from tests.kit import FakeClock, eventually

GONE = Unavailable("nobody there", code="unreachable")


def patient(clock: FakeClock, **said: object) -> Patience:
    return Patience(clock=clock, pause=clock.advance, **said)  # type: ignore[arg-type]


def answers(script: Sequence[Exception | str]) -> Callable[[], str]:
    left = list(script)

    def ask() -> str:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask


def test_a_daemon_that_never_answered_is_not_waited_for() -> None:
    with pytest.raises(Unavailable) as gone:
        patient(FakeClock()).insist(answers([GONE]))
    assert gone.value.code == "unreachable"


def test_a_daemon_that_was_met_is_waited_for_and_the_wait_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert patient(FakeClock(), met=True).insist(answers([GONE, GONE, GONE, "back"])) == "back"
    assert capsys.readouterr().err.count("the daemon went away") == 1


def test_a_daemon_that_stays_away_is_given_up() -> None:
    clock = FakeClock()
    with pytest.raises(Unavailable):
        patient(clock, met=True).insist(answers([GONE]))
    assert AWAY <= clock.monotonic() < AWAY + 1


def test_being_away_counts_against_the_time_that_was_given() -> None:
    clock = FakeClock()
    with pytest.raises(Unavailable):
        patient(clock, met=True, within=3.0).insist(answers([GONE]))
    assert clock.monotonic() == pytest.approx(3.0)


@pytest.mark.parametrize(("expects", "code"), [(False, "wait_expired"), (True, "unavailable")])
def test_a_daemon_that_hangs_until_the_time_is_up_is_told_as_that(
    capsys: pytest.CaptureFixture[str], expects: bool, code: str
) -> None:
    clock = FakeClock()
    patience = patient(clock, met=True, within=3.0, expects=expects)

    def hangs() -> str:
        clock.advance(patience.left(30.0))
        raise Unavailable("it did not answer in time")

    with pytest.raises(Unavailable) as told:
        patience.insist(hangs)
    assert (told.value.code, clock.monotonic()) == (code, 3.0)
    assert "went away" not in capsys.readouterr().err


def test_each_absence_is_counted_from_its_own_beginning() -> None:
    clock = FakeClock()
    patience = patient(clock, met=True)
    for _ in range(3):
        clock.advance(AWAY - 1)
        assert patience.insist(answers([GONE, "back"])) == "back"


@pytest.mark.parametrize(("codes", "code"), [([], 0), ([0, 0], 0), ([0, 5], 5), ([5, 1, 0], 1)])
def test_several_items_end_as_the_worst_of_them(codes: list[int], code: int) -> None:
    assert worst(codes) == code


def test_a_wait_goes_on_when_the_daemon_is_restarted_meanwhile(room: Room) -> None:
    command = [sys.executable, "-m", "darumad", "work", "wait", "one", "--socket", str(room.directory / "control.sock")]
    with serving(room) as served:
        served.client.submit({**CLEAR, "id": "one"})
        waiting = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        desk = served.server._desk
        assert desk is not None
        eventually(lambda: "one" in desk.watch._items)  # it is being waited for, inside the daemon
    assert waiting.stderr is not None
    assert "the daemon went away" in waiting.stderr.readline()
    room.succeed()
    with serving(room):
        said, _ = waiting.communicate(timeout=30)
    assert (waiting.returncode, said) == (0, "one  succeeded\n")


def test_a_submit_that_waits_goes_on_when_the_daemon_falls_before_it_has_answered(room: Room) -> None:
    path = room.directory / "control.sock"
    words = [CLEAR["description"], "--id", "one", "--agent", "echo", "--no-challenge"]
    command = [sys.executable, "-m", "darumad", "submit", *words, "--wait", "--socket", str(path)]
    with answering(path, b""):
        waiting = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert waiting.stderr is not None
    assert waiting.stderr.readline() == "daruma: the daemon went away; waiting for it to come back\n"
    with serving(room):
        eventually(lambda: room.journal.reader().record(ItemId("one")) is not None)
        room.succeed()
        _, told = waiting.communicate(timeout=30)
    assert (waiting.returncode, told) == (0, "")


def test_who_stops_waiting_is_told_what_goes_on(served: Served) -> None:
    words = [CLEAR["description"], "--id", "one", "--agent", "echo", "--no-challenge"]
    command = [*INTERRUPTIBLE, "-m", "darumad", "submit", *words, "--wait", "--socket", str(served.path)]
    waiting = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    desk = served.server._desk
    assert desk is not None
    eventually(lambda: "one" in desk.watch._items)
    waiting.send_signal(signal.SIGINT)
    _, told = waiting.communicate(timeout=30)
    assert (waiting.returncode, told.splitlines()[-1]) == (
        130, "daruma: one goes on; `daruma work wait one` waits for it",
    )  # fmt: skip


def test_a_wait_for_a_label_that_is_empty_is_refused(served: Served, run: Run) -> None:
    done = run("work", "wait", "--label", "")
    assert (done.returncode, done.stdout) == (2, "")
    assert "label" in done.stderr


def test_what_the_daemon_refuses_for_now_is_not_taken_for_its_absence() -> None:
    clock = FakeClock()
    with pytest.raises(Unavailable, match="draining"):
        patient(clock, met=True).insist(answers([Unavailable("it is draining", code="draining")]))
    assert clock.monotonic() == 0


def test_a_limit_of_its_own_is_how_long_a_daemon_that_is_away_is_waited_for() -> None:
    clock = FakeClock()
    with pytest.raises(Unavailable):
        patient(clock, met=True, within=2 * AWAY).insist(answers([GONE]))
    assert clock.monotonic() == pytest.approx(2 * AWAY)


def test_a_daemon_that_hung_up_was_there_and_is_waited_for() -> None:
    hung_up = Unavailable("the daemon hung up: ConnectionResetError", code="hung_up")
    assert patient(FakeClock()).insist(answers([hung_up, GONE, "back"])) == "back"


def test_a_label_that_no_item_has_ends_with_4_and_says_so(run: Run) -> None:
    done = run("work", "wait", "--label", "wall=north")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("daruma: nothing was waited for: no item has the label wall=north\n  -> ")


def test_all_items_with_a_label_are_waited_for(served: Served, run: Run) -> None:
    served.client.batch([{**CLEAR, "id": name, "labels": {"wall": "north"}} for name in ("a", "b")])
    served.room.succeed()
    served.room.die()
    done = run("work", "wait", "--label", "wall=north")
    assert (done.returncode, done.stdout) == (1, "a  succeeded\nb  dead\n")


def test_waiting_for_nothing_in_particular_is_wrong_usage(run: Run) -> None:
    assert run("work", "wait").returncode == 2


def test_health_waits_for_a_daemon_that_is_starting(room: Room) -> None:
    command = [sys.executable, "-m", "darumad", "health", "--within", "30s", "--socket",
               str(room.directory / "control.sock")]  # fmt: skip
    asking = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    room.signs["actor"] = "the tree does not stand yet"
    with serving(room):
        room.signs["actor"] = True
        said, complaint = asking.communicate(timeout=30)
    assert (asking.returncode, complaint) == (0, "")
    assert said.startswith("live, ready")


def test_events_end_behind_the_one_that_was_waited_for(served: Served, run: Run) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.succeed()
    done = run("events", "--since", "0", "--follow", "--until", "work.succeeded", "-o", "ndjson")
    assert done.returncode == 0
    assert '"work.succeeded"' in done.stdout.splitlines()[-1]


def test_waiting_for_a_parked_item_tells_its_error_and_what_to_do_next(served: Served, run: Run) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.park("provider", "the general template works through a model, and none is configured")
    done = run("work", "wait", "one")
    assert done.returncode == 5
    assert "\n  the general template works through a model, and none is configured\n" in done.stderr
    assert "-> See `daruma work show one --attempts`; `daruma work retry one` tries it again." in done.stderr


def test_an_item_that_can_never_be_done_as_it_is_is_not_told_to_be_retried(served: Served, run: Run) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.die("invalid_item", "/inputs holds no Python module")
    done = run("work", "wait", "one")
    assert "/inputs holds no Python module" in done.stderr
    assert "-> Correct what is named, and submit it anew under another id" in done.stderr
    assert "retry" not in done.stderr


def test_a_cancelled_item_is_not_told_to_be_retried(served: Served, run: Run) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.client.call("work cancel", {"reason": "no longer needed"}, id="one")
    said = run("work", "wait", "one").stderr
    assert said.startswith("daruma: one is cancelled: no longer needed\n")
    assert "retry" not in said


def test_questions_that_were_answered_are_not_asked_again(served: Served, run: Run) -> None:
    vague = {"id": "vague", "description": "just make it better", "agent": "executor"}
    served.client.submit(vague)
    assert "? What is the goal?" in run("work", "show", "vague").stdout
    served.client.call("work answer", {"answers": ["a report"]}, id="vague")
    shown = run("work", "show", "vague").stdout
    assert "?" not in shown
    assert "! a report" in shown
    assert "?" not in run("submit", "--item", "-", input=json.dumps(vague)).stdout


def test_an_item_whose_tool_may_have_acted_is_answered_and_not_merely_tried_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = {"kind": "outcome_unknown", "message": "it is not known whether this was done: send_mail"}
    view = {"id": "one", "state": "parked", "reason": "conflict", "waits_for": "somebody", "error": error}
    assert tell_end(view) == 5
    said = capsys.readouterr().err
    assert "Look whether it was done, then `daruma work answer one done`" in said
    assert "work retry" not in said


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Client]:
    """The line to a daemon that lets everybody in and answers nobody."""
    with socket.socket(socket.AF_UNIX) as listening, Client(tmp_path / "s") as client:
        listening.bind(str(client.path))
        listening.listen()
        yield client


@pytest.mark.parametrize(
    ("command", "code"), [(["work", "wait", "one"], 7), (["submit", "Say it", "--wait"], 7), (["health"], 75)], ids=str
)
def test_no_answer_is_waited_for_when_the_time_is_up(hanging: Client, command: list[str], code: int) -> None:
    said = [sys.executable, "-m", "darumad", *command, "--within", "100ms", "--socket", str(hanging.path)]
    done = subprocess.run(said, capture_output=True, text=True, timeout=PATIENCE / 2, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert "did not answer in time" in done.stderr
    assert "went away" not in done.stderr


def test_a_wait_that_the_daemon_holds_until_its_end_is_no_silence(
    hanging: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon may take as long as it was given; only behind that it is late."""
    monkeypatch.setattr(client_module, "QUIET", 0.05)
    monkeypatch.setattr(client_module, "PATIENCE", 0.3)
    told: list[float] = []
    hanging._silence = told.append
    waiting.patient(Line(hanging, "table"), 0.2)
    monkeypatch.setattr(waiting, "LATE", 0.05)
    with pytest.raises(Unavailable):
        hanging.wait("one", within=0.2)
    assert told == []


def test_a_daemon_that_hangs_is_in_the_way(hanging: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ANSWERS_WITHIN", 0.1)
    _, finding = doctor._daemon(Line(hanging, "table"))
    assert (finding.mark, "hangs" in finding.says) == ("bad", True)
