"""Threads that are begun at once, with stacks of several sizes."""

import threading

from darumad.stacks import WHOLE, begin, stacks_of

SMALL = 256 * 1024


def test_a_thread_that_is_begun_beside_others_with_small_stacks_has_a_whole_one() -> None:
    began: list[int] = []

    class Thread(threading.Thread):
        def start(self) -> None:
            began.append(threading.stack_size())
            super().start()

    inside, over = threading.Event(), threading.Event()

    def small() -> None:
        with stacks_of(SMALL):
            inside.set()
            over.wait(10)

    holds = threading.Thread(target=small)
    holds.start()
    inside.wait(10)
    whole = Thread(target=lambda: None)
    waits = threading.Thread(target=begin, args=(whole,))
    waits.start()
    over.set()
    for each in (waits, whole, holds):
        each.join()
    assert began == [WHOLE]
    assert threading.stack_size() == WHOLE
