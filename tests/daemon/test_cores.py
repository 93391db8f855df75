"""Where threads run: together on one core, and what leaves it."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from darumad.bridge.threads import Threads
from darumad.cores import any_core, one_core
from tests.kit.daemon import Daemon

T = TypeVar("T")
EVERYWHERE = os.sched_getaffinity(0)
SAY = [sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"]


def on_a_thread(work: Callable[[], T]) -> T:
    """Affinity is a thread's own: the tests' stays as it is."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def where_this_runs() -> set[int]:
    return os.sched_getaffinity(0)


def seen_by_a_child() -> set[int]:
    return set(map(int, subprocess.check_output(SAY).split()))


def test_a_thread_that_is_begun_on_the_one_core_stays_there() -> None:
    def kept() -> None:
        with one_core() as core:
            assert os.sched_getaffinity(0) == on_a_thread(where_this_runs) == {core}
        assert os.sched_getaffinity(0) == EVERYWHERE

    on_a_thread(kept)


def test_a_child_that_is_begun_on_any_core_may_run_on_all_that_the_process_was_given() -> None:
    def begun() -> None:
        with one_core() as core:
            assert seen_by_a_child() == {core}
            with any_core():
                assert seen_by_a_child() == EVERYWHERE

    on_a_thread(begun)


def test_two_that_begin_children_on_one_thread_leave_it_where_the_main_thread_is() -> None:
    async def begin(own: asyncio.Event, other: asyncio.Event) -> None:
        with any_core():
            own.set()
            await other.wait()

    async def both() -> None:
        first, second = asyncio.Event(), asyncio.Event()
        await asyncio.gather(begin(first, second), begin(second, first))

    with one_core() as core:

        def begun() -> None:
            asyncio.run(both())
            assert os.sched_getaffinity(0) == {core}

        on_a_thread(begun)


def test_threads_beside_the_loop_leave_the_core() -> None:
    def handed_over() -> None:
        with one_core(), Threads("beside") as threads:
            assert threads.submit(os.sched_getaffinity, 0).result() == EVERYWHERE

    on_a_thread(handed_over)


def test_a_kernel_that_forbids_it_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_: int, __: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    with one_core():
        assert os.sched_getaffinity(0) == EVERYWHERE


@pytest.mark.parametrize("one", [True, False])
def test_the_daemon_keeps_to_one_core_unless_told_otherwise(tmp_path: Path, *, one: bool) -> None:
    daemon = Daemon(tmp_path, {"provider": {"use": "offline"}, "daemon": {"one_core": one}}).start()
    try:
        assert daemon.process is not None
        threads = [int(each.name) for each in Path(f"/proc/{daemon.process.pid}/task").iterdir()]
        where = Counter(frozenset(os.sched_getaffinity(each)) for each in threads)
        main = os.sched_getaffinity(daemon.process.pid)
    finally:
        daemon.close()
    assert len(main) == (1 if one else len(EVERYWHERE))
    assert where.most_common(1)[0][0] == main
