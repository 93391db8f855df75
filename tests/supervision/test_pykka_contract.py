"""Pykka's private names that the room stands on. A release that moves one must fail here, and loudly."""

import inspect
import re

import pykka
import pytest

from darumad.supervision import Actor
from darumad.supervision.pykka_door import REPLACED, ActorStop, Envelope, Future


@pytest.mark.parametrize("name", REPLACED)
def test_a_method_that_the_room_replaces_is_there(name) -> None:
    assert callable(getattr(pykka.ThreadingActor, name))


def test_no_other_way_leads_around_those_that_are_replaced() -> None:
    """What Pykka's own methods call of each other is what the room has replaced, or calls itself."""
    assert "obj._start_actor_loop()" in inspect.getsource(pykka.Actor.start)
    loop = inspect.getsource(getattr(pykka.Actor, "_actor_loop"))  # noqa: B009 - a private name is data here
    assert "_handle_receive" in inspect.getsource(getattr(pykka.Actor, "_actor_loop_running"))  # noqa: B009 - the same
    assert "_actor_loop_running" in loop


def test_the_constructor_which_the_room_does_not_call_sets_no_more_than_the_rooms_own() -> None:
    sets = set(re.findall(r"self\.(\w+) = ", inspect.getsource(pykka.Actor.__init__)))
    assert sets == {"actor_urn", "actor_inbox", "actor_stopped", "_actor_ref"}
    assert "__init__" not in vars(pykka.ThreadingActor)
    assert sets <= set(vars(Actor()))


def test_pykkas_flag_says_whether_messages_are_taken() -> None:
    ref = Actor.start()
    assert not ref.actor_stopped.is_set()
    ref.stop()
    assert ref.actor_stopped.is_set()


def test_the_constructor_makes_the_inbox_by_itself() -> None:
    made = []
    create = REPLACED[0]
    kept = getattr(pykka.ThreadingActor, create)
    inbox = type("Inbox", (pykka.ThreadingActor,), {create: staticmethod(lambda: made.append(1) or kept())})
    inbox()
    assert made == [1]


def test_the_envelope_carries_a_message_and_where_to_reply() -> None:
    assert set(Envelope.__slots__) == {"message", "reply_to"}
    envelope = Envelope("hello", reply_to=None)
    assert (envelope.message, envelope.reply_to) == ("hello", None)


def test_the_stop_message_is_there() -> None:
    assert ActorStop() == ()


def test_a_future_keeps_its_hook_where_the_reply_looks() -> None:
    future = pykka.ThreadingFuture()
    assert vars(future)["_get_hook"] is None
    future.set_get_hook(lambda timeout: timeout)
    assert vars(future)["_get_hook"] is not None
    for method in ("filter", "join", "map", "reduce"):
        assert "self.__class__()" in inspect.getsource(getattr(Future, method))


def test_a_ref_reads_the_inbox_and_the_flag_from_the_actor() -> None:
    source = inspect.getsource(pykka.ActorRef.__init__)
    for name in ("_actor_weakref", "actor_class", "actor_urn", "actor_inbox", "actor_stopped"):
        assert name in source
