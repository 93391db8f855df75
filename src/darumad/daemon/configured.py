"""From the settings to what the rooms take: each room has its own words, so that none of them knows the settings.

Pure.
"""

from collections.abc import Iterator, Mapping, Sequence

from darumad.actors import Policy, judge_of
from darumad.agents import AgentDefinition, SpawnRefused, Templates
from darumad.agents.providers import KeySource, Measure, Price, ProviderConfig, ProviderSpec, Timeouts
from darumad.bridge import BridgeLimits, UnpackLimits
from darumad.journal import Program
from darumad.names import AgentName, Capability, Offer, Role, Seconds, Stage
from darumad.settings import (
    SHIPPED_AGENTS,
    Budget,
    CapSettings,
    PriceSettings,
    ProviderSettings,
    Settings,
    as_written,
    secret_of,
)
from darumad.supervision import Backoff
from darumad.values import Value, asdict
from darumad.work.allowance import Allowance, Caps
from darumad.work.backoff import Backoff as Retry
from darumad.work.budget import EVERYTHING
from darumad.work.canonical import digest
from darumad.work.item import Limits
from darumad.work.lanes import Lane
from darumad.work.validation import STAGES_OF


class LoadedDefinition(Value):
    """What admission needs to know of an agent definition. `version` is None where no template is loaded.

    `stages` are none where nobody knows them: the template was never loaded.

    Only an executor has a template.
    """

    name: AgentName
    role: Role
    template: str | None
    version: str | None
    stages: tuple[Stage, ...]
    complete_by_form: bool
    offers: frozenset[Capability]


def agent_definitions(settings: Settings) -> Mapping[Role, Sequence[AgentDefinition]]:
    """Every definition by role: the built-in ones, and the settings' own, which may also replace a shipped executor."""
    own = {name: _own(name, settings) for name in settings.agents}
    shipped = {name: _shipped(name, template, settings) for name, template in SHIPPED_AGENTS.items()}
    return {
        Role.ORCHESTRATOR: [AgentDefinition(name=AgentName("orchestrator"), role=Role.ORCHESTRATOR)],
        Role.OPTIMIZER: [
            AgentDefinition(name=AgentName("optimizer"), role=Role.OPTIMIZER, count=settings.optimizer_count)
        ],
        Role.EXECUTOR: list({**shipped, **own}.values()),
        Role.REVIEWER: [AgentDefinition(name=AgentName("reviewer"), role=Role.REVIEWER, count=settings.reviewer_count)],
    }


class LoadedDefinitions(Mapping[AgentName, LoadedDefinition]):
    """Each definition as its template was loaded last: a restart of an agent loads it anew.

    A definition whose template cannot be loaded takes items all the same, and they wait: for the template, and not for
    answers, since nobody can say whether they may be vague. They walk as it said when it was loaded last. So it is with
    one whose file is still being run when the daemon's start has waited for it long enough.
    """

    def __init__(self, definitions: Mapping[Role, Sequence[AgentDefinition]], templates: Templates) -> None:
        self._definitions = {each.name: each for group in definitions.values() for each in group}
        self._templates = templates

    def __getitem__(self, name: AgentName) -> LoadedDefinition:
        definition, template = self._definitions[name], self._templates.loaded(name)
        if template is None:
            ref = definition.template or None
            walk = STAGES_OF[definition.role] if ref is None else self._templates.walk(name) or ()
            return LoadedDefinition(
                name, definition.role, ref, None, walk, complete_by_form=True, offers=definition.offers
            )
        return LoadedDefinition(
            name,
            definition.role,
            template.name,
            template.version,
            template.stages,
            template.complete_by_form,
            definition.offers,
        )

    def __iter__(self) -> Iterator[AgentName]:
        return iter(self._definitions)

    def __len__(self) -> int:
        return len(self._definitions)


def unmade(settings: Settings) -> Mapping[AgentName, str]:
    """Why the executors that could not be made now could not; their templates' files are run to see it."""
    definitions = agent_definitions(settings)[Role.EXECUTOR]
    templates = Templates(definitions)
    templates.load()
    refusals = {each.name: _refusal(each, templates) for each in definitions}
    return {name: why for name, why in refusals.items() if why}


def provider_config(settings: Settings) -> ProviderConfig:
    """The providers as their own room names things."""
    return ProviderConfig(
        use=settings.provider.use,
        providers={name: _spec(name, each, settings.prices) for name, each in settings.providers.items()},
        by_agent={name: each.provider for name, each in settings.agents.items() if each.provider},
        max_in_flight=settings.bridge.max_in_flight,
    )


def allowance(settings: Settings) -> Allowance:
    """What may be spent, by whom."""
    said = settings.budget
    return Allowance(
        caps={
            EVERYTHING: _caps(said),
            **{f"agent:{name}": _caps(each) for name, each in said.agents.items()},
            **{f"provider:{name}": _caps(each) for name, each in said.providers.items()},
        },
        item=Limits(nano_usd=said.item, tokens=said.item_tokens, calls=said.item_calls),
        zone=said.zone,
        priced_only=said.unknown_price == "refuse",
    )


def policy(settings: Settings) -> Policy:
    """The restart policy of agents' instances."""
    said = settings.supervision
    return Policy(
        errors=said.error_limit,
        window=said.error_window,
        backoff=Backoff(
            min=said.backoff_min,
            max=said.backoff_max,
            reset_after=said.reset_after,
            give_up_after=said.give_up_after,
            retry_benched=said.retry_benched,
        ),
        ping_deadline=said.ping_deadline,
        shutdown=said.shutdown,
        judge=judge_of(said.count),
    )


def retry(settings: Settings) -> Retry:
    """The wait before a failed item is tried again."""
    item = settings.item
    return Retry(first=item.backoff, max=item.backoff_max, factor=item.backoff_factor, jitter=item.backoff_jitter)


def limits(settings: Settings) -> BridgeLimits:
    """The limits of a stage where neither the item nor its definition says otherwise, and the agents' heartbeat."""
    return BridgeLimits(
        timeout=settings.item.timeout,
        idle_timeout=settings.item.idle_timeout,
        grace=settings.item.cancel_grace,
        heartbeat=settings.daemon.heartbeat,
        result=settings.item.result_limit,
    )


def unpack_limits(settings: Settings) -> UnpackLimits:
    """What the uploads of one item may take of the disk, of which the journal's part stays free."""
    return UnpackLimits(
        size=settings.item.unpacked_size, files=settings.item.unpacked_files, spare=settings.journal.low_water
    )


def _shipped(name: str, template: str, settings: Settings) -> AgentDefinition:
    return AgentDefinition(name=AgentName(name), role=Role.EXECUTOR, template=template, count=settings.executors.count)


def _own(name: str, settings: Settings) -> AgentDefinition:
    said = settings.agents[name]
    return AgentDefinition(
        name=AgentName(name),
        role=Role.EXECUTOR,
        template=said.template,
        count=said.count or settings.executors.count,
        provider=said.provider,
        offers=frozenset(map(Capability, said.offers)),
        timeout=said.timeout,
        idle_timeout=said.idle_timeout,
    )


def _refusal(definition: AgentDefinition, templates: Templates) -> str | None:
    try:
        templates(definition.name)
    except SpawnRefused as refused:
        return str(refused)
    return None


def _caps(said: Budget | CapSettings) -> Caps:
    return Caps(
        daily=Limits(nano_usd=said.daily, tokens=said.daily_tokens, calls=said.daily_calls),
        total=Limits(nano_usd=said.total, tokens=said.total_tokens, calls=said.total_calls),
    )


def _prices(provider: str, said: Mapping[str, PriceSettings]) -> Mapping[str, Price]:
    """The operator's prices for this provider's models; `PROVIDER/MODEL` stands before `MODEL`."""
    own = {key.removeprefix(f"{provider}/"): each for key, each in said.items() if key.startswith(f"{provider}/")}
    return {model: _price(each) for model, each in {**said, **own}.items()}


def _price(said: PriceSettings) -> Price:
    read, written = said.input or 0, said.output or 0  # the settings' rules hold that both were said
    return Price(
        read,
        written,
        read if said.cache_read is None else said.cache_read,
        read if said.cache_write is None else said.cache_write,
    )


def _per_minute(said: ProviderSettings) -> Mapping[Measure, int]:
    """What is limited, by what it is limited to."""
    limits = {
        Measure.REQUESTS: said.requests_per_minute,
        Measure.INPUT: said.input_tokens_per_minute,
        Measure.OUTPUT: said.output_tokens_per_minute,
    }
    return {measure: limit for measure, limit in limits.items() if limit is not None}


def _spec(name: str, said: ProviderSettings, prices: Mapping[str, PriceSettings]) -> ProviderSpec:
    return ProviderSpec(
        kind=said.kind,
        base_url=said.base_url,
        model=said.model,
        key=KeySource(credential=secret_of(name, said), file=said.key_file, env=said.key_env),
        embedding_model=said.embedding_model,
        fallback=said.fallback,
        fallback_when_useless=said.fallback_when_useless,
        per_minute=_per_minute(said),
        stream=said.stream,
        concurrency=said.concurrency,
        timeouts=Timeouts(
            connect=said.connect_timeout, first_token=said.first_token, idle=said.idle, total=Seconds(said.total)
        ),
        num_ctx=said.num_ctx or ProviderSpec(kind=said.kind).num_ctx,
        context_window=said.context_window,
        prices=_prices(name, prices),
    )


def offers(settings: Settings) -> list[Offer]:
    """Which definition offers what."""
    return [(each.name, word) for each in agent_definitions(settings)[Role.EXECUTOR] for word in each.offers]


def program(settings: Settings, version: str) -> Program:
    """What this life of the daemon runs on; a digest changes when anything does that its settings say."""
    definitions = [each for group in agent_definitions(settings).values() for each in group]
    said = {each.name: {**asdict(each), "offers": sorted(each.offers)} for each in definitions}
    return Program(version, digest(as_written(settings)), {name: digest(each) for name, each in said.items()})


def lanes(settings: Settings) -> dict[str, Lane]:
    """The lanes that are more than a name."""
    return {
        name: Lane(weight=each.weight, max_running=each.max_running, paused=each.paused)
        for name, each in settings.lanes.items()
    }
