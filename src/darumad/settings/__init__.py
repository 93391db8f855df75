"""Settings: what an operator may change, read once, frozen, and handed down; below the edge a setting is an argument.

`load` checks a file and the environment; `Settings()` is everything at its default. No secret is ever in here: a
setting names the file or the variable that holds one.
"""

from darumad.settings.loading import Examined, examine, load
from darumad.settings.model import (
    SHIPPED_AGENTS,
    AgentSettings,
    Bridge,
    Control,
    Daemon,
    Executors,
    Item,
    JournalSettings,
    LaneSettings,
    Log,
    Metrics,
    Optimizers,
    Queue,
    Retention,
    Reviewers,
    Settings,
    Supervision,
)
from darumad.settings.places import Places, places
from darumad.settings.providers import Budget, CapSettings, PriceSettings, Provider, ProviderSettings, secret_of
from darumad.settings.rules import is_path
from darumad.settings.showing import as_written, flat, origins
from darumad.settings.units import (
    Bytes,
    parse_duration,
    parse_money,
    parse_size,
    show_duration,
    show_money,
    show_size,
)

__all__ = [
    "SHIPPED_AGENTS", "AgentSettings", "Bridge", "Budget", "Bytes", "CapSettings", "Control", "Daemon", "Examined",
    "Executors", "Item", "JournalSettings", "LaneSettings", "Log", "Metrics", "Optimizers", "Places",
    "PriceSettings", "Provider", "ProviderSettings", "Queue", "Retention", "Reviewers", "Settings", "Supervision",
    "as_written", "examine", "flat", "is_path", "load", "origins", "parse_duration", "parse_money", "parse_size",
    "places", "secret_of", "show_duration", "show_money", "show_size",
]  # fmt: skip
