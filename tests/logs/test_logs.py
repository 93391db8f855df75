"""The logs: every line takes one road, no reader can hold anybody up, and what is secret does not get out."""

import gc
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
import structlog

from darumad.logs import logger
from darumad.logs.outlets import CAPACITY, Outlet, WatchedFile
from darumad.logs.rendering import as_json
from darumad.redaction import redact
from tests.kit import times_a_wait
from tests.logs.conftest import Captured

Capture = Callable[..., Captured]


def test_a_line_is_one_json_object_with_its_time_level_logger_and_event_first(capture: Capture) -> None:
    captured = capture()
    logger("actors.orchestrator").info("item_ended", item_id="a", attempt=2)
    (line,) = captured.text().splitlines()
    fields = orjson.loads(line)
    assert list(fields) == ["timestamp", "level", "logger", "event", "item_id", "attempt"]
    assert fields["timestamp"][10] == "T"
    assert fields["timestamp"].endswith("Z")
    assert (fields["level"], fields["logger"], fields["event"]) == ("info", "actors.orchestrator", "item_ended")


def test_a_logger_made_before_the_road_comes_along(capture: Capture) -> None:
    early = logger("early")
    captured = capture()
    early.warning("seen")
    assert [each["logger"] for each in captured.lines()] == ["early"]
    again = capture()
    early.warning("seen_again")
    assert [each["event"] for each in again.lines()] == ["seen_again"]


def test_what_is_bound_to_the_context_is_in_every_line_also_of_libraries(capture: Capture) -> None:
    captured = capture()
    with structlog.contextvars.bound_contextvars(item_id="x1", agent="executor/1"):
        logger("bridge").info("spawned")
        logging.getLogger("some.library").warning("slow: %d s", 3)
    lines = captured.lines()
    assert [(each["item_id"], each["agent"]) for each in lines] == [("x1", "executor/1")] * 2
    assert (lines[1]["logger"], lines[1]["level"], lines[1]["event"]) == ("some.library", "warning", "slow: 3 s")


def test_below_the_level_nothing_is_written_and_libraries_chatter_is_not_either(capture: Capture) -> None:
    captured = capture(level="info")
    logger("a").debug("detail")
    logging.getLogger("httpx").info("HTTP Request: ...")
    logging.getLogger("b").debug("detail")
    logger("a").error("bad")
    assert [each["event"] for each in captured.lines()] == ["bad"]


def _raise(message: str) -> None:
    raise RuntimeError(message)


def test_what_is_below_the_level_costs_its_caller_one_empty_call(capture: Capture) -> None:
    capture(level="info")
    log, called = logger("a"), []
    log.debug("met for the first time")
    sys.setprofile(lambda frame, event, _: called.append(frame.f_code.co_name) if event == "call" else None)
    log.debug("detail", item_id="x1")
    sys.setprofile(None)
    assert len(called) == 1


def test_an_exception_and_a_warning_take_the_same_road(capture: Capture) -> None:
    captured = capture()
    try:
        _raise("boom")
    except RuntimeError:
        logger("a").exception("failed")
        logging.getLogger("b").exception("failed")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", stacklevel=1)
    lines = captured.lines()
    assert all("RuntimeError: boom" in each["exception"] for each in lines[:2])
    assert [each["level"] for each in lines] == ["error", "error", "warning"]


def test_who_logged_before_the_road_does_so_again_after_it(capture: Capture) -> None:
    named = [logging.getLogger(name) for name in ("", "httpx2", "uvicorn.error")]
    before = [(each.level, list(each.handlers)) for each in named]
    capture(level="error").logs.close()
    assert [(each.level, list(each.handlers)) for each in named] == before


def test_what_json_does_not_know_is_written_as_its_text(capture: Capture, tmp_path: Path) -> None:
    captured = capture()
    logger("a").info("odd", path=tmp_path, number=2**70, text="\udcff", keys={1: {2, 3}.__class__})
    assert len(captured.text().splitlines()) == 1


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError("no")


def test_what_cannot_be_printed_breaks_nobody(capture: Capture) -> None:
    captured = capture()
    logger("a").info("odd", thing=Unprintable())
    (line,) = captured.lines()
    assert line["thing"] == "<unprintable Unprintable>"


def test_a_librarys_broken_call_breaks_nobody(capture: Capture, capsys: pytest.CaptureFixture[str]) -> None:
    captured = capture()
    record = logging.LogRecord("careless", logging.WARNING, __file__, 1, "%d", ("no number",), None)
    captured.logs.handler.handle(record)
    assert "TypeError" in capsys.readouterr().err
    logger("a").info("goes_on")
    assert [each["event"] for each in captured.lines()] == ["goes_on"]


def test_under_the_journal_each_line_begins_with_its_priority(capture: Capture) -> None:
    captured = capture(of_the_journal=True)
    logger("a").info("plain")
    logger("a").error("bad")
    assert [line[:4] for line in captured.text().splitlines()] == ["<6>{", "<3>{"]


def test_a_journal_that_is_somebody_elses_stderr_changes_nothing(capture: Capture) -> None:
    captured = capture(environ={"JOURNAL_STREAM": "0:0"})
    logger("a").info("plain")
    assert captured.text().startswith("{")


def test_for_people_a_line_is_no_json_and_without_a_terminal_has_no_colour(capture: Capture) -> None:
    captured = capture(format="console")
    logger("a").warning("look_here", item_id="i1")
    text = captured.text()
    assert "look_here" in text
    assert "i1" in text
    assert "\x1b" not in text
    assert not text.startswith("{")


def test_a_reader_that_reads_nothing_holds_nobody_up_and_what_is_lost_is_counted(capture: Capture) -> None:
    captured = capture()
    log = logger("a")
    filler = "x" * 1000
    for number in range(CAPACITY + 2_000):
        log.info("line", number=number, filler=filler)
    assert captured.logs.dropped >= 1_000
    drained = threading.Thread(target=_drain, args=(captured.reader,), daemon=True)
    drained.start()
    captured.logs.close(30)
    os.close(captured.writer)
    drained.join(30)
    assert not drained.is_alive()


def _drain(descriptor: int) -> None:
    while os.read(descriptor, 1 << 20):
        pass


def test_closing_before_a_reader_that_reads_nothing_ends_in_time(capture: Capture) -> None:
    captured = capture()
    for _ in range(2_000):
        logger("a").info("line", filler="x" * 200)
    assert times_a_wait(1.0, lambda: captured.logs.close(0.1)) < 10
    threading.Thread(target=_drain, args=(captured.reader,), daemon=True).start()
    captured.logs.outlets[0].close(30)
    os.close(captured.writer)


def test_a_reader_that_went_away_costs_lines_and_nothing_else(capture: Capture) -> None:
    captured = capture()
    os.close(captured.reader)
    logger("a").info("into_the_void")
    captured.logs.close()
    assert captured.logs.dropped == 1
    os.close(captured.writer)


def test_a_file_gets_the_same_lines_and_none_is_lost_over_rotations(capture: Capture, tmp_path: Path) -> None:
    file = tmp_path / "logs" / "daruma.log"
    captured = capture(file=file, format="console")
    log = logger("a")
    for number in range(300):
        log.info("line", number=number)
        if number % 100 == 50 and file.exists():
            file.rename(tmp_path / f"rotated.{number}")
    captured.logs.close()
    text = "".join(each.read_text() for each in [*tmp_path.glob("rotated.*"), file])
    assert sorted(orjson.loads(line)["number"] for line in text.splitlines()) == list(range(300))
    assert file.stat().st_mode & 0o007 == 0
    captured.text()


@pytest.mark.parametrize("umask", [0o077, 0o022])
def test_its_group_may_read_a_file_that_is_made_and_one_that_was_there_keeps_its_mode(
    tmp_path: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        for name in ("made.log", "there.log"):
            if name == "there.log":
                (tmp_path / name).touch(0o600)
            file = WatchedFile(tmp_path / name)
            file.write(b"one\n")
            file.close()
    finally:
        os.umask(before)
    assert [oct((tmp_path / name).stat().st_mode & 0o777) for name in ("made.log", "there.log")] == ["0o640", "0o600"]


def test_a_renamed_file_is_left_and_a_new_one_begun_with_the_next_line(tmp_path: Path) -> None:
    file = WatchedFile(tmp_path / "a.log")
    file.write(b"one\n")
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    file.write(b"two\n")
    (tmp_path / "a.log").unlink()
    file.write(b"three\n")
    file.close()
    assert (tmp_path / "a.log.1").read_text() == "one\n"
    assert (tmp_path / "a.log").read_text() == "three\n"


def test_a_full_disk_costs_lines_that_are_counted() -> None:
    outlet = Outlet(WatchedFile(Path("/dev/full")), as_json, name="log-full")
    outlet.put("line\n")
    outlet.close(10)
    assert outlet.dropped == 1


@pytest.mark.parametrize("road", ["event", "field", "exception", "library", "console"])
def test_a_loaded_credential_appears_nowhere_whatever_road_it_takes(capture: Capture, road: str) -> None:
    secret = 'marker"quoted\\value/with spaces'
    redact.conceal(secret)
    captured = capture(format="console" if road == "console" else "json")
    log = logger("a")
    if road == "event":
        said = f"upstream said {secret}"
        log.info(said)
    elif road == "exception":
        try:
            _raise(f"401 for {secret}")
        except RuntimeError:
            log.exception("failed")
    elif road == "library":
        logging.getLogger("lib").warning("sent %s", secret)
    else:
        log.info("x", body={"deep": [secret, {"er": f"a{secret}b"}]})
    text = captured.text()
    assert "[redacted]" in text
    assert "marker" not in text
    assert "value" not in text


def test_the_thread_ends_with_the_logs(capture: Capture) -> None:
    captured = capture()
    captured.text()
    gc.collect()
    assert not [each for each in threading.enumerate() if each.name == "log-stderr" and each.is_alive()]
