"""What is printed of the settings is what holds: the file and the reference page are the code's own."""

import re
from pathlib import Path

import yaml

from darumad.settings import Settings, as_written, flat, load
from darumad.settings.handbook import as_markdown, as_yaml
from darumad.values import changed

ROOT = Path(__file__).parents[2]


def test_the_settings_file_holds_every_setting_at_its_default() -> None:
    file = ROOT / "config" / "daruma.yaml"
    assert file.read_text() == as_yaml(Settings())
    read = load(file, {"HOME": "/home/somebody"})
    here = {"state_dir": Settings().state_dir, "control": Settings().control}
    assert changed(read, **here, said={}, read_from=None) == Settings()


def test_no_setting_is_missing_from_the_file() -> None:
    written = flat(yaml.safe_load((ROOT / "config" / "daruma.yaml").read_text()))
    assert written.keys() == flat(as_written(Settings())).keys()


def test_every_setting_is_read_somewhere() -> None:
    """A setting that nobody reads would be a promise that nobody keeps."""
    code = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    keys = {key.split(".")[-1] for key in flat(yaml.safe_load(as_yaml(Settings())))}
    assert {key for key in keys if not re.search(rf"\.{key}\b", code)} == set()


def test_the_reference_page_is_printed_from_the_settings() -> None:
    assert (ROOT / "docs" / "reference" / "settings.md").read_text() == as_markdown(Settings())


def test_every_setting_has_its_heading() -> None:
    page = as_markdown(Settings())
    for key in flat(yaml.safe_load(as_yaml(Settings()))):
        named = ".".join("NAME" if key.startswith("providers.") and n == 1 else p for n, p in enumerate(key.split(".")))
        assert f"# {named}\n" in page, named
    assert "### agents.NAME.isolation\n" in page
