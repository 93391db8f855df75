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


TOLD_ITSELF = """
import os, signal, socket
from darumad.daemon.forks import part_with_children

part_with_children()
signal.signal(signal.SIGUSR1, lambda *_: None)
ear, mouth = socket.socketpair()
ear.setblocking(False)
mouth.setblocking(False)
signal.set_wakeup_fd(mouth.fileno())
if (pid := os.fork()) == 0:
    os.kill(os.getpid(), signal.SIGUSR1)
    os._exit(0)
os.waitpid(pid, 0)
try:
    print("heard", ear.recv(1))
except BlockingIOError:
    print("heard nothing")
"""


def test_what_a_forked_child_is_told_is_nothing_to_the_daemon() -> None:
    done = subprocess.run([sys.executable, "-c", TOLD_ITSELF], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "heard nothing\n"
