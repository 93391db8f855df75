"""Pykka's private names that the room stands on. A release that moves one must fail here, and loudly."""

import inspect
import queue

import pykka
import pytest
from pykka import _envelope, messages


@pytest.mark.parametrize(
    "name",
    [
        "_create_actor_inbox",
        "_create_future",
        "_start_actor_loop",
        "_actor_loop",
        "_handle_receive",
    ],
)
def test_a_method_that_the_room_replaces_is_there(name: str) -> None:
    assert callable(getattr(pykka.ThreadingActor, name))


def test_the_constructor_sets_what_the_loop_and_the_ref_need() -> None:
    source = inspect.getsource(pykka.Actor.__init__)
    for name in ("actor_urn", "self._create_actor_inbox()", "actor_stopped", "_actor_ref"):
        assert name in source


def test_the_constructor_makes_the_inbox_by_itself() -> None:
    made = []

    class Inbox(pykka.ThreadingActor):
        @staticmethod
        def _create_actor_inbox():
            made.append(1)
            return pykka.ThreadingActor._create_actor_inbox()

    Inbox()
    assert made == [1]


def test_the_envelope_carries_a_message_and_where_to_reply() -> None:
    assert set(_envelope.Envelope.__slots__) == {"message", "reply_to"}
    envelope = _envelope.Envelope("hello", reply_to=None)
    assert (envelope.message, envelope.reply_to) == ("hello", None)


def test_the_stop_message_is_there() -> None:
    assert messages._ActorStop() == ()


def test_a_future_keeps_its_result_where_the_reply_looks() -> None:
    future = pykka.ThreadingFuture()
    assert future._result is None
    future.set(1)
    assert future._result is not None


def test_a_second_answer_is_refused_as_queue_full() -> None:
    future = pykka.ThreadingFuture()
    future.set(1)
    with pytest.raises(queue.Full):
        future.set_exception((ValueError, ValueError(), None))


def test_a_ref_reads_the_inbox_and_the_flag_from_the_actor() -> None:
    source = inspect.getsource(pykka.ActorRef.__init__)
    for name in ("_actor_weakref", "actor_class", "actor_urn", "actor_inbox", "actor_stopped"):
        assert name in source
