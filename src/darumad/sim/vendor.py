"""What a vendor's protocol is to the simulator: each is a module of its own, and here they are by name."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from darumad.sim import anthropic, ollama, openai
from darumad.sim.scenario import Asked, Fault, Quota, Reply
from darumad.sim.wire import Answer, Request


class Vendor(Protocol):
    """How requests are read and answers are worded."""

    BUSY: str
    NOT_TAKEN: str
    """What is said of a key that is nobody's."""
    MODELS: Sequence[str]
    """The models that a listener has when nobody names others."""
    ENDPOINTS: Mapping[str, Sequence[str]]
    """What is asked for, as `Asked` calls it, and the methods of HTTP by which."""

    def error(self, status: int, message: str) -> Answer:
        """A refusal as the vendor words it."""
        ...

    def without_model(self, request: Request, models: Sequence[str]) -> Answer | None:
        """What is answered without asking a model: 200 for what is looked up; None for who asks one, in order."""
        ...

    def asked(self, listener: str, key: str, path: str, body: Mapping[str, Any]) -> Asked:
        """The request in shared words."""
        ...

    def answer(self, asked: Asked, reply: Reply, number: int) -> Answer:
        """A reply as the vendor sends it."""
        ...

    def failure(self, fault: Fault, asked: Asked, echo: str) -> Answer:
        """An error as the vendor words it."""
        ...

    def tokens_of(self, asked: Asked) -> int:
        """The prompt's tokens."""
        ...

    def tokens_said(self, asked: Asked, reply: Reply) -> int:
        """The reply's tokens."""
        ...

    def quota_headers(self, quota: Quota, left: Quota, resets_at: str, resets_in: float) -> dict[str, str]:
        """What is left of a minute's quota, as the vendor tells it."""
        ...


VENDORS: Mapping[str, Vendor] = {"anthropic": anthropic, "ollama": ollama, "openai": openai}
"""By the word that a listener's name begins with."""


def vendor_of(listener: str) -> str:
    """The word that a listener's name begins with: a key of `VENDORS`, or none."""
    return listener.partition("-")[0]
