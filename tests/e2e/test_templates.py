"""The templates that the pages show, each in a file of its own, on the installed daemon."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.e2e.conftest import FEW
from tests.kit.daemon import Daemon

DOCS = Path(__file__).parents[2] / "docs"


def shown_on(page: str) -> Mapping[str, str]:
    """The modules with a `TEMPLATE` that this page shows, by the template's name."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
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
