"""Metrics: the one place that knows Prometheus. Counters, journal and tree are read at scrape, off the loop."""

import platform
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector  # noqa: TID251 - the one door
from prometheus_client.core import (  # noqa: TID251 - the one door
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest  # noqa: TID251 - the one door
from prometheus_client.registry import Collector  # noqa: TID251 - the one door

from darumad.bus import Histogram, Labels
from darumad.control.counting import MOST_AGENTS
from darumad.control.daemon import Daemon
from darumad.control.metrics_table import METRICS, OTHER, Shape
from darumad.work.budget import EVER
from darumad.work.states import WorkState

CONTENT_TYPE = CONTENT_TYPE_LATEST
_NANO = 1_000_000_000
_ABLE = frozenset({"idle", "busy", "degraded"})
_MOST_KINDS = 40
T = TypeVar("T")
Gauge = tuple[tuple[str, Labels], float]


def render(daemon: Daemon, control_lag: float) -> bytes:
    """The Prometheus page. Reads the journal: call it off the loop. `control_lag` is in seconds."""
    return generate_latest(_registry(daemon, control_lag))


def measured(daemon: Daemon, control_lag: float) -> list[tuple[str, Mapping[str, str], float]]:
    """The name, the labels and the value of each line of that page. As `render` otherwise."""
    families = _registry(daemon, control_lag).collect()
    return [(each.name, each.labels, each.value) for family in families for each in family.samples]


def _registry(daemon: Daemon, control_lag: float) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_HouseCollector(daemon, control_lag))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


class _HouseCollector(Collector):
    def __init__(self, daemon: Daemon, control_lag: float) -> None:
        self._daemon = daemon
        self._lag = control_lag

    def collect(self) -> Iterator[Metric]:
        """Every metric of the table, in its order."""
        tally = self._daemon.tally
        values = {**tally.counts(), **_gauges(self._daemon, self._lag)}
        histograms = tally.histograms()
        for shape in METRICS.values():
            if shape.kind == "histogram":
                yield _histogram(shape, _of(shape, histograms))
            else:
                yield _plain(shape, {**dict.fromkeys(shape.starts, 0.0), **_of(shape, values)})

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: to register must not read the journal."""
        return ()


def _of(shape: Shape, found: Mapping[tuple[str, Labels], T]) -> dict[Labels, T]:
    return {labels: value for (name, labels), value in found.items() if name == shape.name}


def _plain(shape: Shape, values: Mapping[Labels, float]) -> Metric:
    kind = CounterMetricFamily if shape.kind == "counter" else GaugeMetricFamily
    family = kind(shape.full.removesuffix("_total"), shape.says, labels=shape.labels)
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family


def _histogram(shape: Shape, found: Mapping[Labels, Histogram]) -> Metric:
    family = HistogramMetricFamily(shape.full, shape.says, labels=shape.labels)
    for labels, each in sorted(found.items()):
        family.add_metric(labels, _cumulated(each), each.total)
    return family


def _cumulated(histogram: Histogram) -> list[tuple[str, float]]:
    """Prometheus counts a bucket with all that are below it."""
    buckets, below = [], 0
    for bound, count in zip((*map(str, histogram.bounds), "+Inf"), histogram.counts, strict=True):
        below += count
        buckets.append((bound, float(below)))
    return buckets


def _gauges(daemon: Daemon, control_lag: float) -> dict[tuple[str, Labels], float]:
    """What is read now and nowhere counted."""
    return {
        **daemon.gauges(),
        **dict(_of_the_queue(daemon)),
        **dict(_of_budgets(daemon)),
        **dict(_of_agents(daemon)),
        **dict(_of_mailboxes(daemon)),
        ("control_lag_seconds", ()): control_lag,
        ("build_info", (daemon.version, platform.python_version())): 1.0,
        ("up_since_seconds", ()): daemon.started_at / 1000,
    }


def _of_the_queue(daemon: Daemon) -> Iterator[Gauge]:
    counts, now = daemon.reader.counts(), daemon.clock.wall()
    for state in WorkState:
        yield ("queue_items", (state.value,)), float(counts.get(state, 0))
    oldest = daemon.reader.oldest_ready_at()
    yield ("queue_oldest_age_seconds", ()), 0.0 if oldest is None else max(0.0, (now - oldest) / 1000)


def _of_budgets(daemon: Daemon) -> Iterator[Gauge]:
    """What is left of every limit in money."""
    allowance = daemon.treasury.allowance
    for budget, account in daemon.reader.accounts(allowance.budgets(daemon.treasury.today)).items():
        limit = allowance.limits_of(budget).nano_usd
        if limit is not None and not budget.scope.startswith("item:"):
            period = "total" if budget.period == EVER else "daily"
            yield ("budget_remaining_usd", (budget.scope, period)), (limit - account.spent.nano_usd) / _NANO


def _of_agents(daemon: Daemon) -> Iterator[Gauge]:
    for agent, instances in _by_agent(daemon.agents()):
        states = [str(each.get("state", "")) for each in instances]
        yield ("agent_up", (agent,)), float(sum(state in _ABLE for state in states))
        yield ("agent_benched", (agent,)), float(states.count("benched"))
        for state in set(states):
            yield ("agent_state", (agent, state)), float(states.count(state))
        yield ("agent_errors_in_window", (agent,)), float(max(each.get("errors_in_window") or 0 for each in instances))
        yield ("agent_progress_age_seconds", (agent,)), _progress_age(instances, daemon.clock.wall())


def _by_agent(instances: Iterable[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Instances by definition; the first definitions by name have their own, the rest are `other`."""
    named = sorted(((str(each.get("agent", OTHER)), each) for each in instances), key=lambda pair: pair[0])
    own = set(sorted({name for name, _ in named})[:MOST_AGENTS])
    labelled = sorted(((name if name in own else OTHER, each) for name, each in named), key=lambda pair: pair[0])
    return [(name, [each for _, each in group]) for name, group in groupby(labelled, key=lambda pair: pair[0])]


def _progress_age(instances: Iterable[Mapping[str, Any]], now: int) -> float:
    """Seconds since the busy instance that is longest without progress made some; 0 with none busy."""
    last = [
        each["last_progress_at"] for each in instances if each.get("state") == "busy" and each.get("last_progress_at")
    ]
    return max(0.0, (now - min(last)) / 1000) if last else 0.0


def _of_mailboxes(daemon: Daemon) -> Iterator[Gauge]:
    """Depths by the kind of actor: the last part of a path that is no number."""
    depths: dict[str, int] = {}
    for row in daemon.tree():
        kind = next((part for part in reversed(row.path.split("/")) if not part.isdecimal()), row.path)
        label = kind if kind in depths or len(depths) < _MOST_KINDS else OTHER
        depths[label] = depths.get(label, 0) + row.mailbox_depth
    for kind, depth in depths.items():
        yield ("mailbox_depth", (kind,)), float(depth)
