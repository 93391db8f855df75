"""A child that is forked off the daemon: the rest of it is in tests/e2e."""

import subprocess
import sys

LATE = """
import os
from darumad.daemon.forks import _Lifeline

lifeline, (parent, of_the_parent) = _Lifeline(), os.pipe()
if not os.fork():
    os.close(of_the_parent)
    os.read(parent, 1)
    lifeline.hold_on(os.open(os.devnull, os.O_RDWR))
    print("lives on", flush=True)
"""


def test_a_child_that_comes_to_itself_when_the_daemon_is_gone_ends_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("", "")
