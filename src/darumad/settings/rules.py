"""What must hold between settings that are right one by one. Pure: a name, what is wrong, nothing more."""

import re
from collections.abc import Collection, Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from darumad.errors import Problem, did_you_mean, which_there_are
from darumad.names import SECRET, SECRET_NAMES, SLUG
from darumad.settings.model import SHIPPED_AGENTS, AgentSettings, Settings
from darumad.settings.providers import ProviderSettings
from darumad.work.kinds import KINDS
from darumad.work.lanes import DEFAULT

NODE = re.compile(r"[A-Za-z0-9._-]{1,64}")
LONGEST_SOCKET_PATH = 107
BUILT_IN = frozenset({"orchestrator", "optimizer", "reviewer"})
"""Roles whose definitions are the house's own; `executor` may be given another template."""
_PORTS = range(65536)
_PORT = re.compile(r"[0-9]{1,5}")
_ENDPOINTS = ("/chat/completions", "/v1/messages", "/api/chat")
"""What each kind puts behind a base address by itself."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def untenable(settings: Settings) -> Iterator[Problem]:
    """Everything about `settings` that cannot be meant, whatever else is said."""
    yield from _daemon(settings)
    for name, provider in settings.providers.items():
        yield from _provider(f"providers.{name}", name, provider)
    for name, agent in settings.agents.items():
        yield from _agent(f"agents.{name}", name, agent)
    yield from _lanes(settings)


def contradictions(settings: Settings) -> Iterator[Problem]:
    """Everything about `settings` that cannot be meant beside the rest of them, or for want of it."""
    yield from _order(settings)
    known = {"auto", "offline", *settings.providers}
    if settings.provider.use not in known:
        yield Problem("provider.use", _no_provider(settings.provider.use, known))
    for name, provider in settings.providers.items():
        yield from _model(f"providers.{name}", provider)
        yield from _patience(f"providers.{name}", provider, settings.said)
        yield from _window(f"providers.{name}", provider, settings.said)
    yield from _fallbacks(settings)
    for name, agent in settings.agents.items():
        yield from _made(f"agents.{name}", agent, settings)
    for name, price in settings.prices.items():
        for way in ("input", "output"):
            if getattr(price, way) is None:
                yield Problem(f"prices.{name}.{way}", "must be said, in USD for a million tokens; 0 USD is free")
    yield from _budgets(settings)


def _order(settings: Settings) -> Iterator[Problem]:
    item, supervision, bridge = settings.item, settings.supervision, settings.bridge
    for pointer, less, more, of in (
        ("item.backoff", item.backoff, item.backoff_max, "item.backoff_max"),
        ("supervision.backoff_min", supervision.backoff_min, supervision.backoff_max, "supervision.backoff_max"),
        ("supervision.degraded_at", supervision.degraded_at, supervision.error_limit, "supervision.error_limit"),
        ("bridge.stalled_after", bridge.stalled_after, bridge.dead_after, "bridge.dead_after"),
    ):
        if less > more:
            yield Problem(pointer, f"must not be more than `{of}`")


def _daemon(settings: Settings) -> Iterator[Problem]:
    path = len(str(settings.control.socket).encode())
    if path > LONGEST_SOCKET_PATH:
        yield Problem("control.socket", f"has {path} bytes; a socket's path has at most {LONGEST_SOCKET_PATH}")
    if not NODE.fullmatch(settings.daemon.node):
        yield Problem("daemon.node", "must be 1 to 64 of letters, digits, dot, dash and underscore")
    for kind in settings.supervision.count:
        if kind not in KINDS:
            yield Problem(f"supervision.count.{kind}", f"is no kind of error{did_you_mean(kind, KINDS)}")
    if not _is_time_zone(settings.budget.time_zone):
        yield Problem("budget.time_zone", "is no time zone this machine knows; write one such as Europe/Berlin")
    if settings.metrics.listen is not None and not _is_loopback(settings.metrics.listen):
        yield Problem("metrics.listen", "must be a loopback address and a port, such as 127.0.0.1:9464")


def _budgets(settings: Settings) -> Iterator[Problem]:
    """A limit on a name that nobody bears would hold nobody back."""
    agents = {*BUILT_IN, *SHIPPED_AGENTS, *settings.agents}
    for name in settings.budget.agents:
        if name not in agents:
            yield Problem(f"budget.agents.{name}", _named_by_nobody("agent", name, agents))
    for name in settings.budget.providers:
        if name not in settings.providers:
            yield Problem(f"budget.providers.{name}", _no_provider(name, settings.providers))


def _provider(pointer: str, name: str, provider: ProviderSettings) -> Iterator[Problem]:
    if not SLUG.fullmatch(name) or name in {"auto", "offline"}:
        yield Problem(pointer, "must have a name of a-z, 0-9 and dashes other than `auto` and `offline`")
    wrong = _unseen_in(provider.base_url) or _wrong_with(provider.base_url)
    if wrong is not None:
        yield Problem(f"{pointer}.base_url", wrong)
    for key, model in (("model", provider.model), ("embedding_model", provider.embedding_model)):
        if model is not None and not (model.strip() and model.isprintable()):
            yield Problem(f"{pointer}.{key}", "must be a model's name, on one line")
    if provider.key_env is not None and not _VARIABLE.fullmatch(provider.key_env):
        yield Problem(f"{pointer}.key_env", "must be a variable's name, of letters, digits and _, without its value")
    if provider.secret is not None and not SECRET.fullmatch(provider.secret):
        yield Problem(f"{pointer}.secret", f"must be a secret's name: {SECRET_NAMES}")


def _model(pointer: str, provider: ProviderSettings) -> Iterator[Problem]:
    if provider.model is None and provider.kind == "anthropic":
        yield Problem(f"{pointer}.model", "must name a model")


def _patience(pointer: str, provider: ProviderSettings, said: Collection[str]) -> Iterator[Problem]:
    """A limit within a call that is longer than the call's own never runs out. What nobody said yields to `total`."""
    for key in ("connect_timeout", "first_token", "idle"):
        if f"{pointer}.{key}" in said and getattr(provider, key) > provider.total:
            yield Problem(f"{pointer}.{key}", f"must not be more than `{pointer}.total`")


def _window(pointer: str, provider: ProviderSettings, said: Collection[str]) -> Iterator[Problem]:
    """Each kind has one word for it. What nobody said came with the provider's name, whatever its kind is now."""
    wanted, other = ("num_ctx", "context_window") if provider.kind == "ollama" else ("context_window", "num_ctx")
    if f"{pointer}.{other}" in said and getattr(provider, other) is not None:
        yield Problem(f"{pointer}.{other}", f"means nothing to {provider.kind}: say `{wanted}`")


def _unseen_in(base_url: str) -> str | None:
    """That it has what no URL has and nobody sees, which the parser partly removes in silence; None when not."""
    if " " in base_url or not base_url.isprintable():
        return "must have no space and no control character, also not at its ends"
    return None


def _wrong_with(base_url: str) -> str | None:
    """Why no path can be put behind `base_url` and asked there; None when one can."""
    try:
        url = urlsplit(base_url)
        port = url.port
    except ValueError:
        return "must be a URL, with a port from 1 to 65535 if it names one"
    if url.scheme not in {"http", "https"} or not url.hostname:
        return "must begin with http:// or https:// and name a host"
    if port == 0:
        return "must name a port from 1 to 65535, or none"
    if url.username or url.password:
        return "must hold no credentials; name a `key_file`"
    if "?" in base_url or "#" in base_url:
        return "must end with its path: what follows a `?` or `#` would not be sent"
    endpoint = next((each for each in _ENDPOINTS if url.path.rstrip("/").endswith(each)), None)
    return None if endpoint is None else f"must end before the path of a call: leave out `{endpoint}`"


def _no_provider(word: str, known: Collection[str]) -> str:
    return _named_by_nobody("provider", word, known)


def _named_by_nobody(what: str, word: str, known: Collection[str]) -> str:
    """What is said of a name that no `what` bears: which was perhaps meant, or else which there are."""
    return f"names no {what}{which_there_are(word, known)}"


def _fallbacks(settings: Settings) -> Iterator[Problem]:
    for name, provider in settings.providers.items():
        if provider.fallback is None:
            continue
        if provider.fallback not in settings.providers:
            yield Problem(f"providers.{name}.fallback", _no_provider(provider.fallback, settings.providers))
        elif name in _chain(provider.fallback, settings):
            yield Problem(f"providers.{name}.fallback", "leads back to where it began")


def _chain(name: str | None, settings: Settings) -> list[str]:
    """The providers that are asked one after the other, from `name` on."""
    chain: list[str] = []
    while name is not None and name in settings.providers and name not in chain:
        chain.append(name)
        name = settings.providers[name].fallback
    return chain


def _lanes(settings: Settings) -> Iterator[Problem]:
    """The lane of items that name none has a weight, and no limit: whoever wants one names a lane."""
    default = settings.lanes.get(DEFAULT)
    if default is not None and default.max_running is not None:
        yield Problem(f"lanes.{DEFAULT}.max_running", "cannot be set for the lane of items that name none")


def _agent(pointer: str, name: str, agent: AgentSettings) -> Iterator[Problem]:
    if not SLUG.fullmatch(name):
        yield Problem(pointer, "must have a name of a-z, 0-9 and dashes, at most 63")
    if name in BUILT_IN:
        yield Problem(pointer, "is a role of the house; choose another name")
    for word in agent.offers:
        if not SLUG.fullmatch(word):
            yield Problem(f"{pointer}.offers", f"must be words of a-z, 0-9 and dashes, at most 63 each, not '{word}'")


def _made(pointer: str, agent: AgentSettings, settings: Settings) -> Iterator[Problem]:
    """What keeps its agent from being made, or from being served."""
    if is_path(agent.template) and agent.isolation is None:
        yield Problem(
            f"{pointer}.isolation",
            "must say `none`: this template does not ship and would run in the daemon's own process",
        )
    known = {"offline", *settings.providers}
    if agent.provider is not None and agent.provider not in known:
        yield Problem(f"{pointer}.provider", _no_provider(agent.provider, known))


def is_path(template: str) -> bool:
    """Whether `template` is a file's path and not the name of one that ships."""
    return "/" in template or template.endswith(".py")


def _is_time_zone(name: str) -> bool:
    try:
        return name == "UTC" or bool(ZoneInfo(name))  # a bare machine may know no zones, and UTC needs none
    except (OSError, ValueError, ZoneInfoNotFoundError):
        return False


def _is_loopback(listen: str) -> bool:
    host, _, port = listen.rpartition(":")
    if not (_PORT.fullmatch(port) and int(port) in _PORTS):
        return False
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
