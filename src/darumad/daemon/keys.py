"""Keys while the daemon runs: the encrypted store they may lie in, changes that are heeded, providers asked anew."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from darumad.agents import Template, first_request
from darumad.agents.providers import (
    SHIPPED,
    Broker,
    Keyring,
    ProviderConfig,
    ProviderSpec,
    Validations,
    Validity,
    upper_bound,
)
from darumad.clock import Clock
from darumad.daemon.asking import Asking
from darumad.daemon.ticker import Ticker
from darumad.journal import Audit, Journal, Release
from darumad.logs import logger
from darumad.names import NEVER, Seconds
from darumad.redaction import redact
from darumad.values import changed
from darumad.vault import Vault
from darumad.work import KINDS, Breaker
from darumad.work.estimate import Quote
from darumad.work.item import WorkItem, WorkRecord
from darumad.work.model import Message
from darumad.work.result import UNUSED
from darumad.work.states import ParkReason, ScheduleReason, WorkState

log = logger(__name__)
LOOK_EVERY = Seconds(30.0)
"""Seconds after which the key files are read again."""
SECRET = "secret/"  # noqa: S105 - how the keys of the journal's rows begin, not one of them
_WAITING_FOR_ONE = {WorkState.PARKED: ParkReason.PROVIDER, WorkState.SCHEDULED: ScheduleReason.OUTAGE}
"""The states in which an item waits for a provider, and the reason that says so."""
_REFUSALS = frozenset(
    name for name, each in KINDS.items() if each.breaker in {Breaker.HARD_OPEN, Breaker.HARD_OPEN_MODEL}
)
"""The kinds of failure after which a provider is not asked until somebody says that it is mended."""
_BY = Audit(by="daemon", action="release", target="items that waited for a provider", via="daemon")


class Keys:
    """Joins the keyring to the store in the journal and to everyone who holds a key.

    `aside` runs what may wait for a disk where nobody waits for it.
    """

    def __init__(
        self,
        keyring: Keyring,
        vault: Vault,
        journal: Journal,
        clock: Clock,
        *,
        aside: Callable[[Callable[[], object]], None],
    ) -> None:
        self.vault = vault
        self._keyring = keyring
        self._journal = journal
        self._clock = clock
        self._aside = aside
        self._mended_at: dict[str, Seconds] = {}
        self._broker: Broker | None = None
        self._providers: Providers | None = None
        self._hint: Callable[[], None] = lambda: None
        self._refused = ""
        self._asking = Asking(clock, self._ask, self._found_well)
        self._looks = Ticker(clock, self._look_again)
        keyring.look_into(self._stored)
        self._look()

    def serve(self, broker: Broker, providers: "Providers", hint: Callable[[], None]) -> None:
        """From now on tell these of changes."""
        self._broker, self._providers, self._hint = broker, providers, hint

    def open(self) -> None:
        """Ask the providers in use, in the background and not at once, and keep an eye on the key files.

        A start is a word that what they refused is mended, as an operator's is: what earlier lives left parked for one
        goes on once it is found well.
        """
        self._asking.open(() if self._providers is None else self._providers.used)
        self._looks.begin(LOOK_EVERY)

    def close(self) -> None:
        """Look at no file any more."""
        self._asking.close()
        self._looks.end()

    def refresh(self) -> Sequence[str]:
        """Heed what changed; the providers whose key is another now. Reads and blocks: on no loop, and no timer."""
        changed = self._look()
        for provider in sorted(changed):
            log.info("key_changed", provider=provider, origin=self._keyring.origin(provider))
            if self._broker is not None:
                self._broker.renew(provider)
                self._note_mended(provider)
            if self._providers is not None:
                self._providers.begin(provider)
        if changed and self._providers is not None:
            self._release(self._providers, changed, self._waiting())
        return sorted(changed)

    def mended(self, providers: Collection[str]) -> None:
        """Somebody says so: each that refused its calls is asked once more, and what is parked for that goes on.

        Reads and blocks: on no loop, and no timer.
        """
        if not providers or self._broker is None or self._providers is None:
            return
        for each in providers:
            self._broker.mended(each)
            self._note_mended(each)
        parked = self._journal.reader().each_record(state=WorkState.PARKED, reason=ParkReason.PROVIDER)
        refused = [each for each in parked if (each.error or {}).get("kind") in _REFUSALS]
        self._release(self._providers, frozenset(providers), refused)
        self._hint()

    def mended_at(self, agent: str) -> Seconds:
        """When one that is asked for `agent` last got another key or was said to be mended (monotonic seconds).

        One that refused a call since then does not count.
        """
        if self._providers is None:
            return NEVER
        standing = self._providers.standing()
        well = [each for each in self._providers.asked_for(agent) if standing.get(each) is True]
        return max((self._mended_at[each] for each in well if each in self._mended_at), default=NEVER)

    def _note_mended(self, provider: str) -> None:
        """Before anybody looks who is parked for it: whoever is parked after that look finds it noted here."""
        self._mended_at[provider] = Seconds(self._clock.monotonic())

    def _look(self) -> frozenset[str]:
        """What changed; a file that cannot be used any more is told of once, and the key it had stays."""
        changed = self._keyring.refresh()
        said = "; ".join(each.detail for each in self._keyring.refused.values())
        if said and said != self._refused:
            log.warning("key_unusable", why=said)
        self._refused = said
        for key in self._keyring.known().values():
            redact.conceal(key.reveal())
        return changed

    def _stored(self, name: str) -> str | None:
        sealed = self._journal.reader().setting(f"{SECRET}{name}")
        return self.vault.open(sealed) if sealed else None

    def _release(self, providers: "Providers", changed: frozenset[str], waiting: Iterable[WorkRecord]) -> None:
        """What is `waiting` for a provider may go on where one that it may ask has changed."""
        for each in waiting:
            if not changed.isdisjoint(providers.asked_for(each.item.agent)):
                self._journal.post(Release(items=(each.item.id,), audit=_BY), lambda _: self._hint())

    def _waiting(self) -> Iterator[WorkRecord]:
        reader = self._journal.reader()
        for state, reason in _WAITING_FOR_ONE.items():
            yield from reader.each_record(state=state, reason=reason)

    def _ask(self, provider: str, heard: Callable[[Validity], None]) -> None:
        if self._providers is not None:
            self._providers.begin(provider, heard)

    def _found_well(self, provider: str) -> None:
        self._aside(partial(self.mended, (provider,)))

    def _look_again(self) -> Seconds:
        """On the timer's thread, which must not read a disk."""
        self._aside(self.refresh)
        return LOOK_EVERY


class Providers:
    """The providers as people see them: how each was found, and where its key came from, never what it is."""

    def __init__(
        self,
        config: ProviderConfig,
        keyring: Keyring,
        validations: Validations,
        loop: Callable[[], asyncio.AbstractEventLoop],
        template_of: Callable[[str], Template | None],
    ) -> None:
        self._template_of = template_of
        self._config = config
        self._keyring = keyring
        self._validations = validations
        self._loop = loop

    @property
    def used(self) -> Sequence[str]:
        """Those that some agent may ask."""
        return self._config.used

    def asked_for(self, agent: str) -> Sequence[str]:
        """Those that are asked for `agent`, in order."""
        return self._config.asked_for(agent)

    def begin(self, provider: str, heard: Callable[[Validity], None] | None = None) -> None:
        """Ask one in the background; `heard` is told what came of it, on the loop."""
        self._validations.begin(provider, heard)

    def standing(self) -> Mapping[str, bool | str]:
        """Of those in use: True, or why no call is made until somebody says that what it refused is mended."""
        return {name: self._validations.refusing(name) or True for name in self.used}

    def uncalled(self) -> Collection[str]:
        """Of those in use the ones that are not called now."""
        return [name for name in self.used if self._validations.uncalled(name)]

    def vouch_for(self, agents: Iterable[str]) -> None:
        """Their operator says that who is asked for these is well: they are called, whatever calls have met."""
        for each in {name for agent in agents for name in self.asked_for(agent)}:
            self._validations.vouch_for(each)

    async def check(self, provider: str) -> bool:
        """Ask one now, and whether it is well: it answers, takes its key and has its model. On any loop."""
        asked = asyncio.run_coroutine_threadsafe(self._validations.check(provider), self._loop())
        found = await asyncio.wrap_future(asked)
        return found.connected

    def quote(self, item: WorkItem, turns: tuple[Message, ...]) -> Quote:
        """Who would be asked for `item` behind these turns, and what its first call would reserve."""
        name = self._config.provider_of(item.agent)
        spec = self._config.spec(name)
        if spec is None or not spec.model:
            return Quote()
        request = first_request(item, turns, self._template_of(item.agent))
        most = UNUSED if request is None else upper_bound(spec.price_of(spec.model), request)
        return Quote(provider=name, model=spec.model, most=most)

    def shown(self) -> Sequence[Mapping[str, Any]]:
        """Every provider there is."""
        return [self._shown(name, spec) for name, spec in {**SHIPPED, **self._config.providers}.items()]

    def _shown(self, name: str, spec: ProviderSpec) -> Mapping[str, Any]:
        found = self._validity(name)
        return {
            "name": name,
            "kind": spec.kind,
            "model": spec.model,
            "base_url": redact(spec.base_url) if spec.base_url else None,
            "key": self._keyring.origin(name),
            "used": name in self.used,
            "state": found.state,
            "reason": found.reason,
            "passes": found.passes,
            "checked_at": found.at,
        }

    def _validity(self, name: str) -> Validity:
        """How it was found; where its key cannot be read any more that comes first, though the one it had may do."""
        found, refused = self._validations.of(name), self._keyring.refused.get(name)
        if refused is None:
            return found
        if self._keyring.get(name):
            meanwhile = "; the key that was read before is still used"
        else:
            spec = self._config.spec(name)
            meanwhile = "" if spec is None or spec.needs_key else "; it is called without a key"
        return changed(found, state="error", reason=f"{refused.detail}{meanwhile}", passes=False)
