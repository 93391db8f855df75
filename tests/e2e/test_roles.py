"""The optimizer and the reviewer asked directly, as a user does it: by the command, of the installed daemon."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from darumad.sim import Reply, Rule, Simulation, When
from darumad.work.gates import Gate
from tests.e2e.conftest import FEW
from tests.kit.daemon import Daemon

ARTIFACT = {"id": "report-7", "description": "The report of November"}
REVIEW = {"description": "The report sums the three regions up", "phase": "review", "input": ARTIFACT}


def verdict() -> str:
    """What the model says: all is well but for the sum."""
    judged = {gate.value: {"verdict": "pass", "issues": []} for gate in Gate if gate is not Gate.TESTS_PASSING}
    judged["correctness"] = {"verdict": "fail", "issues": ["2 and 2 are 4"]}
    return json.dumps({"gates": judged, "requirements": [], "recommendations": [], "suggested_tests": []})


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """With a model that judges only what it is shown: the file must have come through."""
    with tempfile.TemporaryDirectory(prefix="daruma-") as place, Simulation("ollama") as sim:
        sim.play(Rule(id="judge", when=When(prompt_re="2 and 2 are 5"), script=(Reply(text=verdict()),)))
        model = {"kind": "ollama", "base_url": sim.url("ollama"), "model": "llama3.2"}
        running = Daemon(Path(place), {**FEW, "provider": {"use": "ollama"}, "providers": {"ollama": model}}).start()
        yield running
        running.close()


def handed_in(daemon: Daemon, item: dict[str, Any], *arguments: str) -> tuple[int, Any]:
    """How `submit` ended for this item, and the data of its result."""
    said = daemon.run("submit", "--item", "-", *arguments, "--wait", "--json", given=json.dumps(item))
    assert said.stdout, said.stderr
    return said.returncode, json.loads(said.stdout).get("data")


def test_a_review_that_was_asked_for_is_the_answer_also_where_it_finds_faults(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("2 and 2 are 5\n")
    item = {"id": "review", **REVIEW}
    code, data = handed_in(daemon, item, "--role", "reviewer", "--input", str(tmp_path / "report.md"))
    assert (code, data["passed"], data["issues"]) == (0, False, ["correctness: 2 and 2 are 4"])
    shown = daemon.item("review")
    assert (shown["state"], shown["stage"], shown["reviews"], shown["asked"]["agent"]) == (
        "succeeded", "reviewing", 0, "reviewer",
    )  # fmt: skip
    assert [each["data"]["stage"] for each in daemon.events("work.assigned", "review")] == ["reviewing"]


def test_a_context_that_was_asked_for_is_what_an_executor_would_have_seen(daemon: Daemon) -> None:
    notes = {"name": "notes", "text": "the regions are north, east and south"}
    item = {"id": "context", "description": "Write the report of November", "inputs": [notes]}
    code, data = handed_in(daemon, item, "--role", "optimizer")
    assert (code, data["intent"], data["degraded"]) == (0, item["description"], False)
    assert [each["text"] for each in data["inputs"]] == [notes["text"]]
    assert [each["type"] for each in daemon.events(subject="context")] == [
        "work.submitted", "work.assigned", "work.succeeded",
    ]  # fmt: skip


def test_without_a_model_a_review_waits_for_one_and_a_context_is_computed(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="daruma-") as place:
        offline = Daemon(Path(place), FEW).start()
        try:
            assert handed_in(offline, {"id": "review", **REVIEW, "role": "reviewer"})[0] == 5
            parked = offline.item("review")
            assert (parked["state"], parked["reason"], parked["stage"]) == ("parked", "provider", "reviewing")
            assert "daruma work retry" in parked["waits_for"]
            assert handed_in(offline, {"id": "context", "description": "Say it", "role": "optimizer"})[0] == 0
        finally:
            offline.close()
