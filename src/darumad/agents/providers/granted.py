"""What a server's headers say is left of its limits: Anthropic's and OpenAI's words for it. Pure."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from darumad.agents.providers.limiter import Measure, Remaining
from darumad.names import Millis

_ANTHROPIC: Mapping[Measure, str] = {
    Measure.REQUESTS: "anthropic-ratelimit-requests",
    Measure.INPUT: "anthropic-ratelimit-input-tokens",
    Measure.OUTPUT: "anthropic-ratelimit-output-tokens",
}
_OPENAI: Mapping[Measure, str] = {Measure.REQUESTS: "requests", Measure.INPUT: "tokens"}
_PART = re.compile(r"([\d.]+)(ms|[hms])")
_UNITS: Mapping[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
LONGEST = 120.0
"""Seconds. No limit of a minute takes longer to be whole again; what says so is not believed."""


def granted_by(headers: Mapping[str, str], wall: Millis) -> dict[Measure, Remaining]:
    """What is left, where the headers say it; `wall` is now."""
    return dict((*_of_openai(headers), *_of_anthropic(headers, wall)))


def _of_anthropic(headers: Mapping[str, str], wall: Millis) -> Iterator[tuple[Measure, Remaining]]:
    for measure, name in _ANTHROPIC.items():
        try:
            remaining = int(headers[f"{name}-remaining"])
            resets_at = datetime.fromisoformat(headers[f"{name}-reset"]).timestamp()
        except (KeyError, ValueError):
            continue
        yield measure, Remaining(remaining, _bounded(resets_at - wall / 1000))


def _of_openai(headers: Mapping[str, str]) -> Iterator[tuple[Measure, Remaining]]:
    for measure, name in _OPENAI.items():
        try:
            remaining = int(headers[f"x-ratelimit-remaining-{name}"])
            parts = _PART.findall(headers[f"x-ratelimit-reset-{name}"])
            yield measure, Remaining(remaining, _bounded(sum(float(number) * _UNITS[unit] for number, unit in parts)))
        except (KeyError, ValueError):
            continue


def _bounded(seconds: float) -> float:
    return min(max(0.0, seconds), LONGEST)
