"""The five stories' committed outputs: `python -m tests.examples.outputs` tells the stories and writes them anew.

What differs between two tellings by nature is put into one form before it is written or compared: NORMALISED says what.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
STORIES = ("document-a-package", "three-in-order", "too-vague", "falls-five-times", "survives-kill")
NORMALISED = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<time>"),
    (r"\bduration_ms=\d+", "duration_ms=<time>"),
    (r"^ *\d+  (?=<time>)", "<position>  "),
    (r"^(\$ kill -9) \d+", r"\1 <pid>"),
    (r"\bbegin brick-\d+ [123]$", "begin brick-<id> <step>"),
    (r"^begun a second time: \d+, ", "begun a second time: <count>, "),
    # The size of the package that is documented, which is Daruma's own `supervision` and grows with it.
    (r"\b\d+ entries of supervision in \d+ modules", "<count> entries of supervision in <count> modules"),
    # Said of whatever takes long, which is the machine's to say.
    (r"^daruma: the daemon does not answer yet; [^\n]*\n", ""),
    (r"^reference\.md  \d+ bytes", "reference.md  <count> bytes"),
    (r"^\d+ modules, \d+ public names\.", "<count> modules, <count> public names."),
)
"""Ids, times, positions, and the size of a package that changes with every commit."""


def telling(
    place: Path, program: str = "examples/demo", *, before: Path | None = None, **said: str
) -> "subprocess.CompletedProcess[str]":
    """Runs the demo, or one story of it, in the copy of the checkout at `place`; what it showed on its terminal.

    Programs are looked for in `before` first; `said` is in the environment, too.
    """
    path = [Path(sys.executable).parent, os.environ["PATH"]]
    environ = {
        "PATH": ":".join(map(str, path if before is None else [before, *path])),
        "HOME": os.fspath(place),
        "TMPDIR": os.fspath(place / "tmp"),
        "LANG": "C.UTF-8",
        **said,
    }
    return subprocess.run(
        [place / program],
        cwd=place,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=400,
        check=False,
    )


def checkout(place: Path) -> None:
    """What the stories need of a checkout, at `place`."""
    shutil.copytree(ROOT / "examples", place / "examples")
    (place / "src").symlink_to(ROOT / "src")
    (place / "tmp").mkdir()


def story(shown: str, number: int) -> str:
    """The part of a telling that is the story with this number, in the form that is compared."""
    begins = shown.index(f"\n{number}. ") + 1
    ends = re.compile(rf"^({number + 1}\. |What is left)", re.MULTILINE).search(shown, begins)
    text = shown[begins : ends.start() if ends else None].rstrip() + "\n"
    for pattern, form in NORMALISED:
        text = re.sub(pattern, form, text, flags=re.MULTILINE)
    return text


def committed(name: str) -> Path:
    """Where the output of a story is kept."""
    return ROOT / "examples" / name / "output.txt"


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory(prefix="daruma-") as made:
        checkout(Path(made))
        done = telling(Path(made))
        if done.returncode:
            sys.exit(done.stdout)
        for each, name in enumerate(STORIES, 1):
            committed(name).write_text(story(done.stdout, each))
        shutil.copy(Path(made) / "build/demo.svg", ROOT / "docs/demo.svg")
