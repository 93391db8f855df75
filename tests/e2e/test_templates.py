"""The templates that the pages show, each in a file of its own, on the installed daemon."""

import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml

from darumad.sim import Simulation
from darumad.sim.reading import scenario_of
from tests.e2e.conftest import FEW, own
from tests.kit.daemon import DARUMA, Daemon

DOCS = Path(__file__).parents[2] / "docs"


def blocks_of(page: str, kind: str) -> Sequence[str]:
    """What this page shows in fences of this kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def shown_on(page: str) -> Mapping[str, str]:
    """The modules with a `TEMPLATE` that this page shows, by the template's name."""
    blocks = blocks_of(page, "python")
    named = {each: re.search(r'^TEMPLATE = .*?name="(\S+)"', each, re.MULTILINE | re.DOTALL) for each in blocks}
    return {name[1]: each for each, name in named.items() if name}


def defined(home: Path, templates: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """An agent for each of these templates, named as it is."""
    for name, source in templates.items():
        (home / f"{name}.py").write_text(source)
    return {name: {"template": f"{name}.py", "isolation": "none"} for name in templates}


def test_the_templates_of_the_how_to_do_what_their_page_says(house: Callable[..., Daemon], home: Path) -> None:
    daemon = house({**FEW, "agents": defined(home, shown_on("how-to/write-a-template.md"))}).start()
    for name in ("words", "mailer"):
        daemon.submit(name, agent=name)
        assert daemon.settled(name)["state"] == "succeeded", daemon.item(name)
    assert daemon.client.call("result", id="words")["data"] == {"words": 5}
    (outbox,) = daemon.state.glob("workspaces/mailer/*/outbox")
    assert outbox.read_text() == "mailer:1:executing:1 board@example.org\n"


def test_the_clerk_of_the_how_to_works_with_its_tools_and_is_sent_back_once(
    house: Callable[..., Daemon], home: Path
) -> None:
    page = "how-to/give-an-agent-tools.md"
    (scenario,), (settings,), (typed,) = (blocks_of(page, kind) for kind in ("json", "yaml", "sh"))
    with Simulation("ollama") as sim:
        sim.play(*scenario_of(json.loads(scenario)).rules)
        daemon = house(yaml.safe_load(settings.replace("http://127.0.0.1:8901", sim.url("ollama"))))
        defined(home, shown_on(page))
        daemon.start()
        shell = {**daemon.environ, "PATH": f"{DARUMA.parent}:{daemon.environ['PATH']}"}
        done = subprocess.run(["/bin/sh", "-c", typed], env=shell, cwd=home, capture_output=True, text=True, check=True)
    ended = daemon.item("three")
    assert (ended["state"], ended["attempt"], ended["reviews"]) == ("succeeded", 2, 1), done.stdout
    assert [each["issues"] for each in ended["feedback"]] == [["the total is 6"]]
    assert daemon.client.call("result", id="three")["data"] == {"total": 6}
    (orders,) = daemon.state.glob("workspaces/three/*/orders")
    assert len(orders.read_text().splitlines()) == 1


def test_the_files_of_a_dead_item_that_was_retried_are_those_of_the_attempt_that_succeeded(
    house: Callable[..., Daemon], home: Path
) -> None:
    daemon = house({**FEW, "agents": {"recovers": own("recovers")}}).start()
    daemon.submit("late", agent="recovers", max_attempts=1)
    assert daemon.settled("late")["state"] == "dead"
    daemon.client.call("work retry", {}, id="late")
    assert daemon.settled("late")["state"] == "succeeded"
    saved = daemon.run("result", "late", "--save", str(home / "out"))
    assert (saved.returncode, (home / "out" / "page.txt").read_text()) == (0, "attempt 2\n"), saved.stderr
