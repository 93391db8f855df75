"""`make mutants`: apply each patch to a copy of the source, run the test that it names there, and expect it to fail.

There are as many copies as mutants are tried at once; a patch is taken back before the next one.

A patch is `mutants/<room>/<name>.patch`, where a room may be a room's room; above its diff stand two lines,
`Fails: <how a test's name begins>` and `Breaks: <the guard, in a sentence>`. A patch that no longer applies fails, and
so does one whose test passes, does not exist, or does not end.
"""

import compileall
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import repeat
from pathlib import Path
from queue import SimpleQueue

HERE = Path(__file__).parent
CHECKOUT = HERE.parent
AT_ONCE = 4
"""Mutants tried at once: most of a try is a wait, for a test that hangs to be given up."""
SECONDS = 90
"""A mutant that hangs its test for so long has not made it fail."""
Places = SimpleQueue[Path]
"""The copies that no mutant is in."""
FAILED = 1
"""Pytest's exit code for tests that ran, and failed."""


def main() -> int:
    """Try the patches whose path contains one of the arguments, or all; 1 when one survives."""
    patches = [each for each in sorted(HERE.glob("**/*.patch")) if _is_meant(each, sys.argv[1:])]
    places: Places = SimpleQueue()
    with ExitStack() as stack, ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in range(min(AT_ONCE, len(patches))):
            places.put(stack.enter_context(_copy()))
        verdicts = list(pool.map(_verdict, patches, repeat(places)))
    wrong = [said for said in verdicts if said]
    print(*wrong, sep="\n")
    print(f"{len(patches) - len(wrong)} of {len(patches)} mutants were noticed by the test that they name")
    return 1 if wrong or not patches else 0


def _is_meant(patch: Path, words: list[str]) -> bool:
    return not words or any(word in patch.relative_to(HERE).as_posix() for word in words)


def _verdict(patch: Path, places: Places) -> str:
    """What is wrong with this mutant; nothing, if its test failed."""
    name, room = patch.relative_to(HERE).as_posix(), patch.parent.relative_to(HERE).as_posix()
    test = re.match(r"Fails: (test_\w+)\nBreaks: \S", patch.read_text())
    if test is None:
        return f"{name}: does not begin with Fails: and Breaks:"
    place = places.get()
    try:
        applied = _applied(patch, place)
        if applied.returncode:
            return f"{name}: no longer applies: {applied.stderr.strip()}"
        said = _tried(place, room, name, test[1])
        _applied(patch, place, "--reverse").check_returncode()
        return said
    finally:
        places.put(place)


def _applied(patch: Path, place: Path, *how: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "apply", *how, os.fspath(patch)]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)


def _tried(place: Path, room: str, name: str, test: str) -> str:
    files = [each for each in sorted(Path(place, "tests", room).glob("test_*.py")) if f"def {test}" in each.read_text()]
    if not files:
        return f"{name}: there is no test whose name begins with {test}"
    # Plugins and rewritten asserts cost three times what the test does; here only its verdict counts.
    on_a_loop = any(f"async def {test}" in each.read_text() for each in files)
    plugin = ("-p", "pytest_asyncio", "-o", "asyncio_mode=auto") if on_a_loop else ()
    quick = (*plugin, "-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "-c", os.fspath(place / "pytest.ini"))
    command = [sys.executable, "-m", "pytest", *quick, "-k", test, *map(os.fspath, files)]
    environ = {
        **os.environ,
        "PYTHONPATH": os.fspath(place / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "TESTS_CEILING": "4",
    }
    try:
        ran = _run(command, place, environ)
    except subprocess.TimeoutExpired:
        return f"{name}: {test} did not end within {SECONDS} s"
    if ran.returncode == FAILED:
        return ""
    return f"{name}: survives {test}: pytest ended with {ran.returncode}: {ran.stdout.strip().splitlines()[-1:]}"


def _run(command: list[str], place: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=place, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False)


@contextmanager
def _copy() -> Iterator[Path]:
    """The source and the tests, in a place where they may be broken."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as made:
        place = Path(made)
        forget = shutil.ignore_patterns("__pycache__")
        Path(place, "pytest.ini").write_text("[pytest]\npythonpath = .\n")
        shutil.copytree(CHECKOUT / "src", place / "src")  # with what is compiled: what is patched is compiled anew
        shutil.copytree(CHECKOUT / "tests", place / "tests", ignore=forget)  # all: rooms borrow from each other's
        compileall.compile_dir(place / "tests", quiet=1)
        yield place


if __name__ == "__main__":
    sys.exit(main())
