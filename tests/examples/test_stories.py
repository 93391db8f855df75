"""The five stories and the demo that tells them, on the real daemon: they show what is committed beside them."""

import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.examples.outputs import ROOT, STORIES, checkout, committed, story, telling


@dataclass(frozen=True)
class Told:
    """One telling of the demo: where, how it ended, and how many seconds of a processor it took."""

    place: Path
    done: "subprocess.CompletedProcess[str]"
    took: float

    @property
    def shown(self) -> str:
        return self.done.stdout


@pytest.fixture
def place() -> Iterator[Path]:
    """A checkout to tell stories in; its path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="daruma-") as made:
        checkout(Path(made))
        yield Path(made)


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    with tempfile.TemporaryDirectory(prefix="daruma-") as made:
        checkout(Path(made))
        before = _spent()
        done = telling(Path(made))
        yield Told(Path(made), done, _spent() - before)


def _spent() -> float:
    """Seconds that this process's children have had a processor: unlike the clock, the same on a busy machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_demo_ends_by_itself_and_well_within_two_minutes_and_leaves_nothing_behind(told: Told) -> None:
    assert told.done.returncode == 0, told.shown
    assert told.took < 60
    assert list((told.place / "tmp").iterdir()) == []


@pytest.mark.parametrize(("number", "name"), list(enumerate(STORIES, 1)), ids=STORIES)
def test_a_story_shows_what_is_committed_beside_it(told: Told, number: int, name: str) -> None:
    assert story(told.shown, number) == committed(name).read_text()


def test_no_command_runs_that_is_not_shown_first_as_it_runs(told: Told) -> None:
    scripts = [ROOT / "examples" / "demo", *(ROOT / "examples").rglob("*.sh")]
    unseen = re.compile(r"^ *(?:daruma|sleep|until) |(?:; |&& |\|\| |\()daruma ", re.MULTILINE)
    assert [(each.name, unseen.findall(each.read_text())) for each in scripts if unseen.search(each.read_text())] == []
    typed = {line.removeprefix("$ ") for line in told.shown.splitlines() if line.startswith("$ ")}
    assert "export DARUMA_STATE_DIR=$home/state DARUMA_CONTROL__SOCKET=$home/control.sock" in typed


def test_a_story_may_be_told_on_its_own_whatever_the_environment_says_of_other_daemons(place: Path) -> None:
    said = {"DARUMA_PROVIDER__USE": "nobody", "DARUMA_SOCKET": "/nowhere"}
    done = telling(place, "examples/too-vague/story.sh", **said)
    assert done.returncode == 0, done.stdout
    assert story(done.stdout, 3) == committed("too-vague").read_text()


def test_a_step_that_fails_ends_the_telling_with_a_plain_sentence_and_nothing_is_left_running(place: Path) -> None:
    script = place / "examples" / STORIES[0] / "story.sh"
    script.write_text(script.read_text().replace("--agent documentation", "--agent documentatoin"))
    done = telling(place)
    assert done.returncode != 0
    assert "did you mean `documentation`" in done.stdout
    assert "\nThe story ends here: 'daruma submit " in done.stdout
    assert done.stdout.rstrip().endswith("ended with 2 and should have ended with 0")
    assert list((place / "tmp").iterdir()) == []


def test_the_demo_closes_with_the_tree_the_queue_and_the_metrics_that_changed(told: Told) -> None:
    closing = told.shown[told.shown.index("What is left of it") :]
    assert "└─ control-socket" in closing
    assert "queue      parked 1, succeeded 21" in closing
    assert "vague      parked (challenge)" in closing
    counted = re.search(r'daruma_work_items_total{outcome="succeeded",phase="implementation"} (\d+)\.0', closing)
    assert counted is not None
    assert 8 <= int(counted[1]) <= 16, "by the last life: some of the first eight had ended where the kill came late"
    assert 'daruma_queue_items{state="succeeded"} 21.0' in closing
    assert "daruma_queue_oldest_age_seconds" not in closing


def test_the_picture_is_of_what_was_shown_and_so_is_the_one_in_the_docs(told: Told) -> None:
    for svg in (told.place / "build" / "demo.svg", ROOT / "docs" / "demo.svg"):
        assert "url(" not in svg.read_text().replace("url(#", "")
        text = "".join(ET.parse(svg).getroot().itertext()).replace("\N{NO-BREAK SPACE}", " ")
        assert "agent.restarted" in text
        assert "$ kill -9 " in text
        assert "accepted: 16, succeeded: 16, lost: 0" in text


def test_where_nothing_draws_a_picture_the_demo_says_so_and_ends_well(place: Path) -> None:
    demo, bare = place / "examples" / "demo", place / "bin" / "python3"
    demo.write_text(re.sub(r"^stories=.*", "stories=(too-vague)", demo.read_text(), flags=re.MULTILINE))
    bare.parent.mkdir()
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')  # without what is installed
    bare.chmod(0o755)
    done = telling(place, before=bare.parent)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].startswith("No picture of it is drawn: this python3 has no rich")
    assert not (place / "build" / "demo.svg").exists()


def test_the_three_commands_to_try_next_work_when_pasted(told: Told, place: Path) -> None:
    commands = told.shown[told.shown.index("Yours to try next") :].splitlines()[1:]
    assert len(commands) == 3
    (place / ".venv" / "bin").mkdir(parents=True)
    (place / ".venv" / "bin" / "daruma").symlink_to(Path(sys.executable).with_name("daruma"))
    (place / "build").mkdir()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": os.fspath(place),
        "DARUMA_STATE_DIR": os.fspath(place / "state"),
        "DARUMA_CONTROL__SOCKET": os.fspath(place / "control.sock"),
    }
    pasted = "\n".join(["set -e", *commands, "kill %1", "wait %1", ""])
    done = subprocess.run(
        ["bash"], input=pasted, cwd=place, env=environ, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "reference.md" in done.stdout


def test_the_code_of_the_daemon_knows_of_no_demo() -> None:
    for source in (ROOT / "src").rglob("*.py"):
        assert "demo" not in source.read_text(encoding="utf-8").lower().split(), source
