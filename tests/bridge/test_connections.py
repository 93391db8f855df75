"""The connections of a loop that is held up, shut down from outside."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import uvloop

from darumad.bridge.connections import hang_up


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = uvloop.new_event_loop()
    yield made
    made.close()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_only_what_goes_over_the_network_is_shut_down_and_no_descriptor_is_left_behind(
    loop: asyncio.AbstractEventLoop,
) -> None:
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        ours = stack.enter_context(socket.create_connection(listening.getsockname()))
        theirs, _ = listening.accept()
        stack.enter_context(theirs)
        theirs.settimeout(10)
        near, far = (stack.enter_context(each) for each in socket.socketpair())
        read, write = os.pipe()
        stack.callback(os.close, write)
        stack.callback(os.close, read)
        for each in (ours, near, read):
            loop.add_reader(each, lambda: None)
        loop.run_until_complete(asyncio.sleep(0))
        before = descriptors()
        assert hang_up(loop) == 1
        assert descriptors() == before
        assert theirs.recv(1) == b"", "who answers there sees it"
        near.send(b"still here")
        assert far.recv(10) == b"still here"
        for each in (ours, near, read):
            loop.remove_reader(each)
