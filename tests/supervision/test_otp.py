"""The supervisor beside a model of Erlang/OTP's, through the same random histories: they say and do the same."""

import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from darumad.supervision import IGNORE, ChildSpec, SupervisionError, Supervisor, SupervisorDead, SupervisorFlags
from tests.kit import Bus, FakeClock, Probe, eventually, settle
from tests.supervision.otp import Otp, Row

NAMES = ("a", "b", "c", "d")
STRATEGY = st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"])
NAME = st.sampled_from(NAMES)
PLAN = st.lists(st.sampled_from(["failed", "failed", "ignored", "ready"]), min_size=1, max_size=3)


@st.composite
def rows(draw: Any, auto_shutdown: str, names: tuple[str, ...]) -> list[Row]:
    found = []
    for name in names:
        restart = draw(st.sampled_from(["permanent", "permanent", "transient", "temporary"]))
        significant = auto_shutdown != "never" and restart != "permanent" and draw(st.booleans())
        found.append(Row(name, restart, significant))
    return found


class BesideOtp(RuleBasedStateMachine):
    """One tree and its model. Every rule is done to both, and then they are compared."""

    @initialize(data=st.data(), strategy=STRATEGY)
    def begin(self, data: Any, strategy: Any) -> None:
        intensity = data.draw(st.integers(0, 8))
        self.auto_shutdown = data.draw(st.sampled_from(["never", "never", "any_significant", "all_significant"]))
        first = data.draw(rows(self.auto_shutdown, NAMES[:3]))
        self.log: list[Any] = []
        self.plan: dict[str, list[str]] = {name: [] for name in NAMES}
        self.bus = Bus()
        self.model = Otp(strategy, intensity, self.auto_shutdown, first, {name: [] for name in NAMES})
        flags = SupervisorFlags(strategy, intensity, 60.0, self.auto_shutdown)
        self.root = Supervisor.start(flags, list(map(self.spec, first)), clock=FakeClock(), bus=self.bus)
        self.model.start()
        self.compare()

    def spec(self, row: Row) -> ChildSpec:
        def make() -> Any:
            outcome = self.plan[row.id].pop(0) if self.plan[row.id] else "ready"
            return IGNORE if outcome == "ignored" else Probe.start(self.log, row.id, on_start=OUTCOMES[outcome])

        return ChildSpec(row.id, make, restart=row.restart, significant=row.significant)

    def compare(self) -> None:
        settle()
        if self.model.alive:
            assert [(each.id, each.state, each.incarnation) for each in self.root.which_children()] == (
                self.model.states()
            )
        else:
            assert self.root.wait(20).kind == "shutdown"
        assert [(what, name) for what, name, _ in self.log] == self.model.log
        self.log.clear()
        self.model.log.clear()

    def both(self, call: str, *args: Any) -> None:
        """Make a call to the tree and to the model, which are to answer the same."""
        said = None
        real = [self.spec(each) if isinstance(each, Row) else each for each in args]
        try:
            getattr(self.root, call)(*real)
        except SupervisionError as refusal:
            said = type(refusal).__name__
        assert said == getattr(self.model, call)(*args)
        self.compare()

    @precondition(lambda self: self.model.alive)
    @rule(name=NAME, outcomes=PLAN)
    def the_next_starts_will_end_so(self, name: str, outcomes: list[Any]) -> None:
        self.plan[name] = list(outcomes)
        self.model.plan[name] = list(outcomes)

    @precondition(lambda self: self.model.alive)
    @rule(names=st.lists(NAME, min_size=1, max_size=4, unique=True), abnormally=st.booleans())
    def these_leave_at_once(self, names: list[str], abnormally: bool) -> None:
        refs = {each.id: each.ref for each in self.root.which_children() if each.ref is not None}
        go = threading.Event()
        self.root.echo(lambda: go.wait(20))  # the supervisor looks at nothing until all of them are gone
        for name in names:
            if name in refs:
                refs[name].tell(ValueError() if abnormally else ("exit", "normal"))
                eventually(lambda ref=refs[name]: not ref.is_alive())
        go.set()
        self.model.leave(names, abnormally=abnormally)
        self.compare()

    @precondition(lambda self: self.model.alive)
    @rule(data=st.data(), name=NAME)
    def start_child(self, data: Any, name: str) -> None:
        (row,) = data.draw(rows(self.auto_shutdown, (name,)))
        self.both("start_child", row)

    @precondition(lambda self: self.model.alive)
    @rule(call=st.sampled_from(["terminate_child", "restart_child", "delete_child"]), name=NAME)
    def an_existing_one_is_named(self, call: str, name: str) -> None:
        self.both(call, name)

    @precondition(lambda self: not self.model.alive)
    @rule(data=st.data(), strategy=STRATEGY)
    def it_has_given_up_and_another_begins(self, data: Any, strategy: Any) -> None:
        with pytest.raises(SupervisorDead):
            self.root.which_children()
        self.begin(data, strategy)

    def teardown(self) -> None:
        if hasattr(self, "root"):
            self.root.stop(timeout=20)


def fail(_actor: object) -> None:
    raise RuntimeError("no start")


OUTCOMES = {"ready": None, "failed": fail}

BesideOtp.TestCase.settings = settings(
    max_examples=60, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestItDoesWhatOtpDoes = BesideOtp.TestCase
