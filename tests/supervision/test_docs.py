"""The how-to runs, and the room stands by itself: with the floors below it and Pykka, and nothing else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pykka
import pytest

import darumad

PAGE = Path(__file__).parents[2] / "docs/how-to/supervise-your-own-actor.md"
SOURCE = Path(darumad.__file__).parent
BELOW = ("__init__.py", "py.typed", "branches.py", "clock.py", "names.py", "stacks.py")


def example() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return code


def test_the_how_to_runs() -> None:
    exec(compile(example(), str(PAGE), "exec"), {})


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """The room with the floors below it in a directory, Pykka in another, and the how-to's example."""
    package = tmp_path / "darumad"
    shutil.copytree(SOURCE / "supervision", package / "supervision", ignore=shutil.ignore_patterns("__pycache__"))
    for name in BELOW:
        shutil.copy(SOURCE / name, package)
    (tmp_path / "pykka-alone").mkdir()
    (tmp_path / "pykka-alone" / "pykka").symlink_to(Path(pykka.__file__).parent)
    (tmp_path / "example.py").write_text(example())
    return tmp_path


def test_the_room_runs_the_how_to_with_pykka_alone(alone: Path) -> None:
    path = os.pathsep.join([os.fspath(alone), os.fspath(alone / "pykka-alone")])
    told = "import sys, example; print(sys.modules['darumad'].__file__, 'pydantic' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-S", "-c", told],
        cwd=alone,
        env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (ran.returncode, ran.stdout) == (0, f"{alone}/darumad/__init__.py False\n"), ran.stderr


def test_the_room_and_the_how_to_are_strictly_typed_alone(alone: Path) -> None:
    strict = ("--strict", "--cache-dir", os.fspath(alone / "cache"), "-p", "darumad.supervision", "-m", "example")
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", *strict],
        cwd=alone,
        env={**os.environ, "MYPYPATH": os.fspath(alone)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout
