"""The mailbox alone, between threads that take turns all the time: nothing is lost, nothing is got twice."""

import threading

import pytest

from darumad.supervision import MailboxFull
from darumad.supervision.mailbox import Mailbox
from darumad.supervision.pykka_door import Envelope
from tests.kit import switch_interval


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


def in_threads(*calls) -> None:
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "it sleeps though there is something for it"


def test_no_wake_up_is_lost() -> None:
    there, back, rounds = Mailbox(), Mailbox(), 4000

    def serve(first: Mailbox, then: Mailbox) -> None:
        for _ in range(rounds):
            then.put(first.get())

    with switch_interval(1e-6):
        there.put(Envelope("ball"))
        in_threads(lambda: serve(there, back), lambda: serve(back, there))


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
