"""Whether a provider can be used: its address answers, takes the key, has the models; and what calls have met since.

Asking costs nothing, and proves less than a call: many servers show their models to everybody.
"""

import asyncio
import importlib
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import orjson

from darumad.agents.providers.bounded import bound
from darumad.agents.providers.classify import AttemptFailed
from darumad.agents.providers.client import not_installed
from darumad.agents.providers.config import OPENAI_URL, Kind, ProviderConfig, ProviderSpec
from darumad.agents.providers.credential import Credential
from darumad.agents.providers.evidence import Target
from darumad.agents.providers.policy import LONGEST_WAIT
from darumad.agents.providers.standing import CircuitState
from darumad.agents.providers.tls import tls
from darumad.clock import Clock
from darumad.names import Millis
from darumad.plural import counted
from darumad.redaction import redact
from darumad.values import Value, changed

WITHIN = 15.0
"""Seconds that a provider has to answer."""
_ADDRESS: Mapping[Kind, str] = {
    "anthropic": "https://api.anthropic.com",
    "ollama": "http://127.0.0.1:11434",
    "openai": OPENAI_URL,
}
_MODELS: Mapping[Kind, str] = {"anthropic": "/v1/models", "ollama": "/api/tags", "openai": "/models"}
"""Where each lists its models, from its base address on."""
_HEADERS: Mapping[str, Mapping[str, str]] = {"anthropic": {"anthropic-version": "2026-10-21"}}
_LARGEST_PAGE = "1000"
_REFUSED = frozenset({401, 403})
_TOO_MANY, _BROKEN = 429, 500

State = Literal["pending", "connected", "error"]


class Validity(Value):
    """How a provider was found: `pending` before it was asked, or until the next call shows it.

    `reason` is ours; nothing upstream wrote is in it. `passes`: it is asked again by itself, and nobody has to mend it.
    `unreachable`: nobody was there who could say whether it is well, and later there may be.
    """

    state: State = "pending"
    reason: str = "it was not asked yet"
    at: Millis | None = None
    passes: bool = False
    unreachable: bool = False

    @property
    def connected(self) -> bool:
        """Whether it answers, takes its key and has its model."""
        return self.state == "connected"


class Calls(Protocol):
    """What calls have met. From any thread."""

    def circuits(self) -> Mapping[Target, CircuitState]:
        """How every target stands that was ever tried."""
        ...

    def held_back(self, provider: str) -> float:
        """Seconds until `provider` wants to be called again; 0.0 for now."""
        ...

    def vouch_for(self, provider: str) -> None:
        """Its operator says that it is well."""
        ...


class Validations:
    """What is known of each provider. `begin` is for every thread, the asking is done on the loop behind `post`."""

    def __init__(
        self,
        config: ProviderConfig,
        keys: Callable[[str], Credential | None],
        calls: Calls,
        clock: Clock,
        post: Callable[[Callable[[], None]], None],
    ) -> None:
        self._config = config
        self._keys = keys
        self._calls = calls
        self._clock = clock
        self._post = post
        self._found: dict[str, Validity] = {}
        self._asking: set[asyncio.Task[None]] = set()

    def of(self, provider: str) -> Validity:
        """What is known by now, from asking and from calls: what those were refused, or answered since, weighs more."""
        found = self._found.get(provider, Validity())
        met = {model: circuit for (name, model), circuit in self._calls.circuits().items() if name == provider}
        if why := self.uncalled(provider):
            reason = found.reason if found.state == "error" else why
            return changed(found, state="error", reason=reason, passes=self.refusing(provider) is None)
        if found.state != "error" and (untried := _untried(met)) is not None:
            return changed(found, state="pending", reason=untried)
        return found if found.connected else self._answered(met, found)

    def uncalled(self, provider: str) -> str | None:
        """Why no call is made now; None while calls are."""
        met = {model: circuit for (name, model), circuit in self._calls.circuits().items() if name == provider}
        failing = _failing(met, self._clock.monotonic()) or _left_alone(self._calls.held_back(provider))
        return self.refusing(provider) or failing

    def vouch_for(self, provider: str) -> None:
        """Its operator says that it is well: it is called, whatever calls have met."""
        self._calls.vouch_for(provider)

    def refusing(self, provider: str) -> str | None:
        """Why no call is made until somebody says that what it refused is mended, and how; None while calls are."""
        circuits = self._calls.circuits().items()
        met = next(((model, each.kind) for (name, model), each in circuits if name == provider and each.kind), None)
        if met is None:
            return None
        another = "another key, " if self._keys(provider) else "a key, " if met[1] == "auth" else ""
        ways = f"{another}`daruma providers check {provider}`, `daruma work retry` or a restart"
        return f"it refused a call to {met[0]} ({met[1]}): none is made until {ways}"

    def _answered(self, met: Mapping[str, CircuitState], found: Validity) -> Validity:
        """`found`, or that a call was answered later."""
        answers = [(each.answered_at, model) for model, each in met.items() if each.answered_at is not None]
        if not answers:
            return found
        last, model = max(answers)
        at = Millis(self._clock.wall() - int((self._clock.monotonic() - last) * 1000))
        stale = found.at is None or found.at <= at
        return Validity("connected", f"it answered a call to {model}", at) if stale else found

    def begin(self, provider: str, heard: Callable[[Validity], None] | None = None) -> None:
        """Ask in the background; `heard` is told what came of it, on the loop."""
        known = self._found.get(provider)
        if known is None or not known.unreachable:  # that one is not there is true until it is
            self._found[provider] = Validity("pending", "it is being asked", self._clock.wall())
        self._post(lambda: self._begin(provider, heard))

    async def check(self, provider: str) -> Validity:
        """Ask now, and what came of that; what calls have met is another matter. On the loop."""
        spec = self._config.spec(provider)
        if spec is None:
            return Validity("error", "no such provider is configured", self._clock.wall())
        found = changed(await validated(spec, self._keys(provider)), at=self._clock.wall())
        self._found[provider] = found
        return found

    def _begin(self, provider: str, heard: Callable[[Validity], None] | None) -> None:
        task = asyncio.get_running_loop().create_task(self._ask(provider, heard))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, provider: str, heard: Callable[[Validity], None] | None) -> None:
        found = await self.check(provider)
        if heard is not None:
            heard(found)


def _failing(met: Mapping[str, CircuitState], now: float) -> str | None:
    """Why no call is made now, though one will be by itself."""
    failing = next(((model, each) for model, each in met.items() if each.shut and each.cause), None)
    if failing is None:
        return None
    model, circuit = failing
    again = "the next call is under way"
    if circuit.half_opens_at is not None and not circuit.probed:
        again = f"the next call is let through in {max(0.0, circuit.half_opens_at - now):,.0f} s"
    return f"calls to {model} fail ({circuit.cause}): its circuit is open, and {again}"


def _untried(met: Mapping[str, CircuitState]) -> str | None:
    """That calls have failed, and only the next one shows whether they still do."""
    failed = next(((model, each.cause) for model, each in met.items() if each.cause and not each.shut), None)
    return None if failed is None else f"calls to {failed[0]} failed ({failed[1]}): the next one shows whether they do"


def _left_alone(wait: float) -> str | None:
    """Why no call is made for so many seconds; None while calls wait as long as that."""
    if wait <= LONGEST_WAIT:
        return None
    return f"it asked to be left alone: no call for {wait:,.0f} s more, or until `daruma work retry`"


async def validated(spec: ProviderSpec, key: Credential | None, within: float = WITHIN) -> Validity:
    """Asks the provider for its models, and what came of it."""
    unasked = not_installed(spec.kind) or ("it has no key" if key is None and spec.needs_key else None)
    if unasked is not None:
        return Validity("error", unasked)
    # The library that the vendor's client brings too, so that no other is loaded for a question.
    http: Any = await asyncio.to_thread(importlib.import_module, "httpx" if spec.kind == "ollama" else "httpx2")
    address = (spec.base_url or _ADDRESS[spec.kind]).rstrip("/")
    try:
        async with (
            asyncio.timeout(within),
            http.AsyncClient(
                trust_env=False,
                verify=tls(),
                timeout=within,
                follow_redirects=False,
                event_hooks={"response": [bound(http.AsyncByteStream)]},
            ) as client,
        ):
            answer = await client.get(
                address + _MODELS[spec.kind], headers=_headers(spec.kind, key), params=_params(spec.kind)
            )
            if not answer.is_success:
                return _refused(answer.status_code)
            return _judged(spec, orjson.loads(answer.content))
    except (TimeoutError, http.TimeoutException):
        return Validity("error", f"it did not answer within {within:g} s", unreachable=True)
    except (http.HTTPError, http.InvalidURL):
        return Validity("error", f"nothing answers at {redact(address)}", unreachable=True)
    except (AttemptFailed, ValueError):
        return Validity("error", f"what answers at {redact(address)} is no {spec.kind} server")


def _headers(kind: Kind, key: Credential | None) -> dict[str, str]:
    bearer = {} if key is None else {"authorization": f"Bearer {key.reveal()}"}
    return {**_HEADERS.get(kind, {}), **bearer}


def _params(kind: Kind) -> dict[str, str]:
    return {"limit": _LARGEST_PAGE} if kind == "anthropic" else {}


def _refused(status: int) -> Validity:
    if status in _REFUSED:
        return Validity("error", f"it refuses the key ({status})")
    return Validity("error", f"it answers {status}", unreachable=status == _TOO_MANY or status >= _BROKEN)


def _judged(spec: ProviderSpec, answer: Any) -> Validity:
    models = _models_of(answer)
    if models is None:
        return Validity("error", f"what answers is no {spec.kind} server")
    named = [each for each in (spec.model, spec.embedding_model) if each]
    missing = next((each for each in named if models.isdisjoint({each, f"{each}:latest"})), None)
    if missing is not None:
        return Validity("error", f"it takes the key, but has no model called {missing}")
    return Validity("connected", f"it has {' and '.join(named) or counted(len(models), 'model')}")


def _models_of(answer: Any) -> frozenset[str] | None:
    listed = answer.get("data", answer.get("models")) if isinstance(answer, dict) else None
    if not isinstance(listed, list):
        return None
    return frozenset(str(each.get("id", each.get("name"))) for each in listed if isinstance(each, dict))
