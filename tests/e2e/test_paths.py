"""Files that are handed in by their path, on the installed daemon: read where it runs, and nowhere but below a root."""

from collections.abc import Callable
from pathlib import Path

from tests.e2e.conftest import FEW
from tests.kit.daemon import Daemon


def test_a_package_is_documented_as_it_was_when_it_was_handed_in(house: Callable[..., Daemon], home: Path) -> None:
    package = home / "allowed" / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""What it was."""\n\n\ndef first() -> None:\n    """The first."""\n')
    (home / "secret.py").write_text('"""Nobody\'s business."""\n')
    daemon = house({**FEW, "item": {"input_roots": [str(home / "allowed")]}}).start()

    refused = daemon.run("submit", "Document it", "--daemon-path", f"{home}/allowed/../secret.py")
    assert refused.returncode == 2
    assert "/inputs/0/path: lies below none of the directories that may be named" in refused.stderr
    assert daemon.run("submit", "Document it", "--daemon-path", "allowed/package").returncode == 2

    daemon.run("pause")
    said = daemon.run(
        "submit", "Document this package", "--id", "docs", "--agent", "documentation", "--daemon-path", str(package)
    )
    assert said.returncode == 0, said.stderr
    (package / "__init__.py").write_text('"""Changed."""\n')
    daemon.run("resume")
    assert daemon.settled("docs")["state"] == "succeeded"
    saved = daemon.run("result", "docs", "--save", "saved")
    assert saved.returncode == 0, saved.stderr
    page = (daemon.home / "saved" / "reference.md").read_text()
    assert "What it was." in page
    assert "Changed." not in page
    assert daemon.item("docs")["asked"]["inputs"][0]["path"] == str(package)
