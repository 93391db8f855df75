"""A: starting."""

import math
import threading
import time
from functools import partial

import pytest

from darumad.supervision import (
    IGNORE,
    Actor,
    ActorDeadError,
    AlreadyPresent,
    AlreadyStarted,
    Backoff,
    ChildSpec,
    ErrorBudget,
    Liveness,
    NotFound,
    StartError,
    Supervisor,
    SupervisorFlags,
    Timeout,
)
from darumad.supervision.pykka_door import ActorRegistry
from tests.kit import Leaks, Probe, fastest, pause

BACKOFF = partial(Backoff, min=1, max=8)


def raising(error: BaseException):
    def fails(_) -> None:
        raise error

    return fails


def test_a1_start_returns_after_every_child_is_ready_one_after_the_other(house) -> None:
    spans = {}

    def slow(actor) -> None:
        begun = time.monotonic()
        pause(0.05)
        spans[actor.id] = (begun, time.monotonic())

    begun = time.monotonic()
    root = house.start(*(house.spec(name, probe={"on_start": slow}) for name in "abc"))
    assert time.monotonic() - begun >= 0.15
    assert [e.path for e in house.bus.named("child.started")] == ["root/a", "root/b", "root/c"]
    assert spans["a"][1] <= spans["b"][0]
    assert spans["b"][1] <= spans["c"][0]
    assert house.states(root) == [("a", "up", 1), ("b", "up", 1), ("c", "up", 1)]


def test_a2_a_child_that_cannot_start_takes_those_before_it_down(house) -> None:
    leaks, error, made = Leaks(), RuntimeError("no"), []

    def never():
        made.append("d")
        return Probe.start(house.log, "d")

    specs = (house.spec("a"), house.spec("b"), house.spec("c", probe={"on_start": raising(error)}))
    with pytest.raises(StartError) as caught:
        house.start(*specs, ChildSpec("d", never))
    assert (caught.value.id, caught.value.cause) == ("c", error)
    assert made == []
    begun_then_undone = [("start", "a"), ("start", "b"), ("start", "c"), ("stop", "b"), ("stop", "a")]
    assert house.whats("start", "stop") == begun_then_undone
    assert [e.path for e in house.bus.named("child.started")] == ["root/a", "root/b"]
    leaks.check()


def test_a3_a_failed_on_start_is_told_at_once_and_costs_nothing(house) -> None:
    root, error = house.start(house.spec("a"), intensity=1), RuntimeError("no")

    def attempt() -> None:
        with pytest.raises(StartError) as caught:
            root.start_child(house.spec("x", probe={"on_start": raising(error)}))
        assert (caught.value.id, caught.value.cause) == ("x", error)

    assert fastest(attempt, enough=0.2) < 0.2, "it is told, not waited for"
    with pytest.raises(NotFound):
        root.get_childspec("x")
    assert house.whats("failure", "stop") == []
    house.crash(root, "a")
    assert house.states(root) == [("a", "up", 2)], "no restart was spent on it"


@pytest.mark.parametrize("error", [SystemExit(), KeyboardInterrupt(), GeneratorExit()])
def test_a3_whatever_on_start_raises_is_a_failed_start(house, error) -> None:
    root = house.start(house.spec("a"))
    with pytest.raises(StartError) as caught:
        root.start_child(house.spec("x", probe={"on_start": raising(error)}))
    assert caught.value.cause is error
    assert root.address("a").ask("who", within=5) == ("a", 1)


def test_a3_exit_in_on_start_is_a_failed_start(house) -> None:
    root = house.start()
    with pytest.raises(StartError):
        root.start_child(house.spec("x", probe={"on_start": lambda actor: actor.exit("normal")}))
    assert root.which_children() == []
    assert house.whats("stop", "failure") == []


def test_a3_a_factory_that_raises_is_a_failed_start_and_what_it_had_started_ends(house) -> None:
    root, leaks = house.start(), Leaks()

    def half_way():
        Probe.start(house.log, "helper")
        raise OSError("half way")

    with pytest.raises(StartError) as caught:
        root.start_child(ChildSpec("x", half_way))
    assert isinstance(caught.value.cause, OSError)
    leaks.check()


def test_a_start_that_hangs_is_abandoned_after_its_time(house, wake) -> None:
    root = house.start(house.spec("a"))
    with pytest.raises(StartError) as caught:
        root.start_child(house.spec("x", start_timeout=0.05, probe={"on_start": lambda _: wake.wait(60)}))
    assert isinstance(caught.value.cause, Timeout)
    assert root.leaked == 1
    assert house.states(root) == [("a", "up", 1)]


def test_a6_no_thread_left_is_a_failed_start_without_a_zombie(house, monkeypatch) -> None:
    root, made = house.start(house.spec("a")), []

    def make() -> object:
        made.append(Probe.start(house.log, "x"))
        return made[-1]

    def no_thread(_self) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(StartError, match="can't start new thread"):
            root.start_child(ChildSpec("x", make))
        with pytest.raises(StartError, match="can't start new thread"):
            house.start(name="another")
        with pytest.raises(RuntimeError, match="can't start new thread"):
            Probe.start(house.log, "alone")
    assert ActorRegistry.get_all() == []
    assert ActorRegistry.stop_all(timeout=1) == []
    assert not made[0].is_alive()
    with pytest.raises(ActorDeadError):
        made[0].tell("to nobody")
    assert house.states(root) == [("a", "up", 1)]


def test_pykkas_registry_holds_nobody_that_is_supervised_so_that_no_stop_all_ends_a_tree(house) -> None:
    root = house.start(house.spec("a"), house.nested("inner", house.spec("b")))
    assert ActorRegistry.get_all() == []
    assert ActorRegistry.stop_all(timeout=5) == []
    assert root.address("a").ask("who", within=5) == ("a", 1)


def test_a7_ignored_children_keep_a_place_unless_temporary(house) -> None:
    ignored = [ChildSpec("p", lambda: IGNORE), ChildSpec("t", lambda: IGNORE, restart="temporary")]
    root = house.start(house.spec("a"), *ignored, intensity=1)
    assert [(i.id, i.state, i.ref) for i in root.which_children()][1:] == [("p", "undefined", None)]
    assert root.start_child(ChildSpec("p2", lambda: IGNORE)) is None
    assert root.start_child(ChildSpec("t2", lambda: IGNORE, restart="temporary")) is None
    assert root.count_children() == {"specs": 3, "active": 1, "supervisors": 0, "workers": 3}
    house.crash(root, "a")
    assert root.address("a").incarnation == 2, "no restart was spent on them"
    assert root.stop()
    assert root.wait(0).kind == "shutdown"


@pytest.mark.parametrize("missing", ["id", "start"])
def test_a8_a_spec_without_an_id_or_a_start_is_a_type_error(missing) -> None:
    whole = {"id": "a", "start": print}
    del whole[missing]
    with pytest.raises(TypeError, match=missing):
        ChildSpec(**whole)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("restart", "prmanent"),
        ("shutdown", -10),
        ("shutdown", math.nan),
        ("shutdown", math.inf),
        ("shutdown", "soon"),
        ("type", "wrker"),
        ("significant", "maybe"),
        ("significant", True),
        ("start_timeout", 0),
        ("mailbox", 0),
        ("id", ""),
        ("id", 7),
        ("start", "x"),
        ("error_budget", 5),
        ("backoff", 1.0),
        ("liveness", 1.0),
    ],
)
def test_a8_a_bad_child_spec_names_its_field(field, value) -> None:
    with pytest.raises(ValueError, match=field):
        ChildSpec(**{"id": "a", "start": print, field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("strategy", "none_for_one"),
        ("intensity", -1),
        ("intensity", math.inf),
        ("intensity", True),
        ("period", 0),
        ("period", math.inf),
        ("period", True),
        ("auto_shutdown", "perhaps"),
    ],
)
def test_a8_bad_flags_name_their_field(field, value) -> None:
    with pytest.raises(ValueError, match=field):
        SupervisorFlags(**{field: value})


@pytest.mark.parametrize(
    ("make", "field", "bad", "good"),
    [
        (ErrorBudget, "limit", (0, -1, True, 1.5, math.inf, math.nan, "5"), (1,)),
        (ErrorBudget, "within", (0, -1, True, math.inf, math.nan, "60"), (0.1, 60)),
        (BACKOFF, "min", (-0.1, True, math.inf, math.nan), (0, 8)),
        (BACKOFF, "max", (0.9, True, math.inf, math.nan, "8"), (1,)),
        (BACKOFF, "factor", (0.9, True, math.inf, math.nan, "2"), (1,)),
        (BACKOFF, "jitter", (-0.1, True, math.inf, math.nan, "0"), (0,)),
        (BACKOFF, "reset_after", (0, True, math.inf, math.nan, "1"), (0.1,)),
        (BACKOFF, "give_up_after", (-1, True, 1.5, math.inf, "1"), (0, None)),
        (BACKOFF, "retry_benched", (0, True, math.inf, math.nan, "1"), (0.1,)),
        (Liveness, "ping_deadline", (0, True, math.inf, math.nan, "1"), (0.1,)),
    ],
)
def test_a8_a_budget_a_backoff_and_a_deadline_name_the_figure_that_is_out_of_range(make, field, bad, good) -> None:
    for value in bad:
        with pytest.raises(ValueError, match=f"^{field}: .*{value!r}"):
            make(**{field: value})
    for value in good:
        assert getattr(make(**{field: value}), field) == value


def test_a8_nothing_is_made_before_everything_is_checked() -> None:
    made = []
    spec = ChildSpec("a", lambda: made.append(1))
    leaver = ChildSpec("b", lambda: made.append(1), restart="transient", significant=True)
    for build, named in (
        (lambda: Supervisor.start(SupervisorFlags(), [spec, spec]), "id"),
        (lambda: Supervisor.factory(SupervisorFlags(), [spec, spec]), "id"),
        (lambda: Supervisor.start(SupervisorFlags(), [spec, leaver]), "significant"),
        (lambda: Supervisor.start(SupervisorFlags("pool"), []), "specs"),
        (lambda: Supervisor.start(SupervisorFlags("pool"), [spec, leaver]), "specs|significant"),
        (lambda: SupervisorFlags("pool", auto_shutdown="any_significant"), "auto_shutdown"),
    ):
        with pytest.raises(ValueError, match=named):
            build()
    assert made == []


def test_a8_a_spec_that_does_not_fit_is_refused_while_running(house) -> None:
    root = house.start()
    with pytest.raises(ValueError, match="significant"):
        root.start_child(house.spec("x", restart="transient", significant=True))
    with pytest.raises(ValueError, match="spec"):
        root.start_child("not a spec")
    for call in (root.restart_child, root.get_childspec, root.address):
        with pytest.raises(NotFound):
            call("x")
    assert house.log == []


def test_a8_the_defaults_are_otps(house) -> None:
    supervisor = ChildSpec("s", Supervisor.factory(SupervisorFlags(), []), type="supervisor")
    root = house.start(house.spec("a"), supervisor)
    worker = root.get_childspec("a")
    assert (worker.shutdown, worker.restart, worker.type, worker.significant) == (5.0, "permanent", "worker", False)
    assert (worker.start_timeout, worker.mailbox) == (10.0, 10_000)
    assert (worker.error_budget, worker.backoff, worker.liveness) == (None, None, None)
    assert (root.get_childspec("s").shutdown, root.get_childspec("s").start_timeout) == ("infinity", None)
    flags = SupervisorFlags()
    assert (flags.strategy, flags.intensity, flags.period) == ("one_for_one", 1, 5.0)
    assert flags.auto_shutdown == "never"


def test_a9_ids_are_unique_and_new_ones_come_last(house) -> None:
    root = house.start(house.spec("a"), house.spec("b"))
    root.terminate_child("b")
    with pytest.raises(AlreadyStarted) as caught:
        root.start_child(house.spec("a"))
    assert caught.value.ref is root.which_children()[0].ref
    with pytest.raises(AlreadyPresent):
        root.start_child(house.spec("b"))
    root.start_child(house.spec("z"))
    assert house.states(root) == [("a", "up", 1), ("b", "undefined", 1), ("z", "up", 1)]


def test_a9_an_id_that_waits_for_its_restart_is_present(house) -> None:
    root = house.start(house.spec("a", backoff=Backoff(30, 30)))
    house.crash(root, "a")
    with pytest.raises(AlreadyPresent):
        root.start_child(house.spec("a"))


def test_identity_belongs_to_the_actor_that_the_factory_returns(house) -> None:
    log = []

    def factory():
        log.append(Probe.start(house.log, "helper"))
        return Probe.start(house.log, "main")

    root = house.start(ChildSpec("m", factory))
    helper = log[0]
    assert (helper.path, helper.incarnation) == ("", 0)
    assert helper.ask("who", timeout=5) == ("helper", 0)
    assert root.which_children()[0].ref.path == "root/m"
    assert ("start", "main", 1) in house.log
    assert ("start", "helper", 0) in house.log
    helper.stop()


def test_a_factory_may_ask_the_helper_that_it_started(house) -> None:
    def factory():
        helper = Probe.start(house.log, "helper")
        assert helper.ask("hello", timeout=5) == "hello"
        helper.stop()
        return Probe.start(house.log, "main")

    root = house.start(ChildSpec("m", factory))
    assert root.address("m").ask("who", within=5) == ("main", 1)


def test_a_factory_that_returns_no_actor_of_its_own_fails(house) -> None:
    stranger = Probe.start(house.log, "stranger")
    for wrong in (lambda: None, lambda: 7, Actor, lambda: stranger):
        with pytest.raises(StartError):
            house.start(ChildSpec("m", wrong))
    assert stranger.ask("who", timeout=5) == ("stranger", 0)
    stranger.stop()


def test_a_child_that_is_wanted_starts_without_anybody_waiting_and_one_that_is_there_stays(house) -> None:
    root = house.start(house.spec("a"))
    root.want_child(house.spec("a"))
    root.want_child(house.spec("b"))
    assert house.states(root) == [("a", "up", 1), ("b", "up", 1)]
    root.terminate_child("b")
    root.want_child(house.spec("b"))
    assert house.states(root) == [("a", "up", 1), ("b", "undefined", 1)], "whoever stopped it wants it stopped"


def test_a_wanted_child_that_cannot_start_is_in_the_log_and_nowhere_else(house, caplog) -> None:
    root = house.start(house.spec("a"))
    root.want_child(house.spec("x", probe={"on_start": raising(ValueError("broken"))}))
    root.want_child(house.spec("a/b"))
    assert house.states(root) == [("a", "up", 1)]
    told = [each.getMessage() for each in caplog.records if "was not started" in each.getMessage()]
    assert len(told) == 2
    assert "broken" in told[0]
    assert "a/b lies below its sibling a" in told[1]


def test_a_dismissed_child_is_stopped_and_forgotten_whatever_its_state_and_a_stranger_is_nobody(house) -> None:
    root = house.start(house.spec("a"), house.spec("b"), house.spec("c", backoff=Backoff(30, 30)))
    root.terminate_child("b")
    house.crash(root, "c")
    for name in ("a", "b", "c", "stranger"):
        root.dismiss_child(name)
    assert house.states(root) == []
    root.want_child(house.spec("a"))
    assert house.states(root) == [("a", "up", 2)], "its path had a life before"
