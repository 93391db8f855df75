"""The mailbox alone, between threads that take turns all the time: nothing is lost, nothing is got twice."""

import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from darumad.supervision import MailboxFull
from darumad.supervision.mailbox import Mailbox
from darumad.supervision.pykka_door import Envelope
from tests.kit import eventually, switch_interval

MAILBOX = sys.modules[Mailbox.__module__].__file__


def test_signals_overtake_messages_and_each_lane_keeps_its_order() -> None:
    mailbox = Mailbox()
    for n in range(3):
        mailbox.put(Envelope(n))
        mailbox.post(f"signal {n}")
    assert [mailbox.get() for _ in range(3)] == ["signal 0", "signal 1", "signal 2"]
    assert [mailbox.get().message for _ in range(3)] == [0, 1, 2]


def test_the_bound_is_the_message_lanes_only() -> None:
    mailbox = Mailbox(1)
    assert mailbox.put(Envelope(1))
    with pytest.raises(MailboxFull):
        mailbox.put(Envelope(2))
    assert mailbox.post("signal")
    assert mailbox.depth == 1


def test_what_is_left_at_the_end_is_handed_over_once() -> None:
    mailbox = Mailbox()
    mailbox.post("signal")
    mailbox.put(Envelope("message"))
    signals, envelopes = mailbox.close()
    assert (signals, [each.message for each in envelopes]) == (["signal"], ["message"])
    assert mailbox.close() == ([], [])
    assert not mailbox.put(Envelope("late"))
    assert not mailbox.post("late")
    assert mailbox.get() is None


def in_threads(*calls, of: tuple[Mailbox, ...] = ()) -> None:
    """Fails when they do not end; `of` are the mailboxes whose state tells why."""
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        alive, states = [each.is_alive() for each in threads], [(each.idle, each.depth) for each in of]
        assert not thread.is_alive(), f"threads alive: {alive}; idle and depth of their mailboxes: {states}"


class Interruption:
    """Traces a thread, and at the `nth` step that it takes in the mailbox's code lets another thread act first."""

    def __init__(self, nth: int, act: Callable[[], object]) -> None:
        self._left, self._act = nth, act
        self.came = False

    def call_off(self) -> bool:
        """Whether it has not come; it will not any more."""
        self._left = -1
        return not self.came

    def __call__(self, frame, event, _arg):
        if frame.f_code.co_filename != MAILBOX:
            return None
        if event in {"line", "return"}:
            self._left -= 1
            if self._left == 0:
                self.came = True
                other = threading.Thread(target=self._act, daemon=True)
                other.start()
                other.join(0.1)  # it may wait for a lock that the traced thread holds
        return self


def at_each_step(call: Callable[[Mailbox], object], act: Callable[[Mailbox], object]) -> Iterator[tuple[Any, Any]]:
    """What `call` and `act` give, once for each step of `call` at which `act` may come."""
    for nth in itertools.count(1):
        outcome = at_step(nth, call, act)
        if outcome is None:
            return
        yield outcome


def at_step(nth: int, call: Callable[[Mailbox], object], act: Callable[[Mailbox], object]) -> tuple[Any, Any] | None:
    """What the two give when `act` comes at the `nth` step; None if there is no such step."""
    mailbox, gave, acted = Mailbox(), [], []
    mailbox.put(Envelope("first"))
    interruption = Interruption(nth, lambda: acted.append(act(mailbox)))

    def run() -> None:
        sys.settrace(interruption)
        try:
            gave.append(call(mailbox))
        finally:
            sys.settrace(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    eventually(lambda: interruption.came or not thread.is_alive() or sleeps(mailbox))
    if interruption.call_off():  # there is no such step
        mailbox.close()
        thread.join(10)
        return None
    thread.join(10)
    assert not thread.is_alive(), f"after step {nth} it sleeps though there is something for it"
    eventually(lambda: acted)
    return gave[0], acted[0]


def sleeps(mailbox: Mailbox) -> bool:
    """Whether its consumer sleeps, and goes on sleeping."""
    return all(mailbox.idle and threading.Event().wait(0.02) is False for _ in range(5))


def test_a_message_that_comes_at_any_step_of_a_get_wakes_it() -> None:
    def get_twice(mailbox: Mailbox) -> list[str]:
        return [getattr(mailbox.get(), "message", None) for _ in range(2)]

    outcomes = list(at_each_step(get_twice, lambda mailbox: mailbox.put(Envelope("second"))))
    assert len(outcomes) > 10
    assert {(tuple(got), put) for got, put in outcomes} == {(("first", "second"), True)}


def test_an_end_that_comes_at_any_step_of_a_put_loses_nothing() -> None:
    envelope = Envelope("second")
    for accepted, (_, left) in at_each_step(lambda mailbox: mailbox.put(envelope), Mailbox.close):
        assert (envelope in left) is accepted


def test_an_end_that_comes_at_any_step_of_a_get_leaves_the_message_to_one_of_the_two() -> None:
    for got, (_, left) in at_each_step(Mailbox.get, Mailbox.close):
        assert [each.message for each in (got, *left) if each is not None] == ["first"]


def test_a_consumer_stands_on_the_roll_while_it_is_awake_and_only_then() -> None:
    mailbox, roll, seen = Mailbox(), set(), []

    def consume() -> None:
        mailbox.sign(roll, "me")
        seen.append(set(roll))
        while mailbox.get() is not None:
            seen.append(set(roll))

    thread = threading.Thread(target=consume, daemon=True)
    thread.start()
    for nth in range(3):
        eventually(lambda: sleeps(mailbox))
        assert roll == set()
        mailbox.put(Envelope(nth))
        eventually(lambda nth=nth: len(seen) == nth + 2)
    mailbox.close()
    thread.join(10)
    assert seen == [{"me"}] * 4


def test_no_wake_up_is_lost() -> None:
    there, back, rounds = Mailbox(), Mailbox(), 4000

    def serve(first: Mailbox, then: Mailbox) -> None:
        for _ in range(rounds):
            then.put(first.get())

    with switch_interval(1e-6):
        there.put(Envelope("ball"))
        in_threads(lambda: serve(there, back), lambda: serve(back, there), of=(there, back))


def test_each_accepted_message_is_got_once_or_handed_over_at_the_end() -> None:
    with switch_interval(1e-6):
        for _ in range(60):
            one_end(producers=3, messages=60)


def one_end(*, producers: int, messages: int) -> None:
    mailbox, accepted, got, left = Mailbox(), [], [], []

    def produce(name: int) -> None:
        accepted.extend((name, n) for n in range(messages) if mailbox.put(Envelope((name, n))))

    def consume() -> None:
        while (envelope := mailbox.get()) is not None:
            got.append(envelope.message)

    def close() -> None:
        while len(got) < messages:
            pass
        left.extend(each.message for each in mailbox.close()[1])

    in_threads(consume, close, *(lambda name=n: produce(name) for n in range(producers)))
    assert sorted(got + left) == sorted(accepted)
