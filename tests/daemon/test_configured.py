"""From the settings to what the rooms take."""

from pathlib import Path

from darumad.agents import Templates
from darumad.agents.providers import Price
from darumad.daemon.configured import LoadedDefinitions, agent_definitions, allowance, program, provider_config
from darumad.names import AgentName, NanoUsd, Role
from darumad.settings import AgentSettings, Executors, Settings, load
from darumad.values import changed
from darumad.work.budget import EVER, Budget
from darumad.work.item import Limits
from darumad.work.validation import STAGES_OF

DAY = "2026-11-21"
USD = 1_000_000_000


def settings(directory: Path, text: str) -> Settings:
    file = directory / "daruma.yaml"
    file.write_text(text)
    return load(file, {})


def test_unless_somebody_says_otherwise_only_the_day_is_capped() -> None:
    over = allowance(Settings()).limits_over("a", Limits(), "executor", "anthropic", DAY)
    assert {each: limits for each, limits in over.items() if limits != Limits()} == {
        Budget("all", DAY): Limits(nano_usd=NanoUsd(5 * USD))
    }


def test_every_role_that_may_be_asked_takes_items_for_its_own_stages() -> None:
    definitions = agent_definitions(Settings())
    accepted = LoadedDefinitions(definitions, Templates(definitions[Role.EXECUTOR]))
    roles = {name: (each.role, each.stages) for name, each in accepted.items() if each.template is None}
    assert roles == {each.value: (each, STAGES_OF[each]) for each in Role if each is not Role.EXECUTOR}
    assert {each.role for name, each in accepted.items() if name not in roles} == {Role.EXECUTOR}


def test_one_goal_is_planned_at_a_time_however_many_executors_there_are() -> None:
    (planner,) = agent_definitions(Settings(executors=Executors(count=64)))[Role.ORCHESTRATOR]
    assert planner.count == 1


def test_every_limit_of_the_settings_reaches_the_budget_that_it_is_for(tmp_path: Path) -> None:
    said = settings(
        tmp_path,
        """
        budget:
          daily: 1 USD
          daily_tokens: 2
          daily_calls: 3
          total: 4 USD
          total_tokens: 5
          total_calls: 6
          item: 7 USD
          item_tokens: 8
          item_calls: 9
          agents: {documentation: {daily: 10 USD, daily_tokens: 11, daily_calls: 12}}
          providers: {ollama: {total: 13 USD, total_tokens: 14, total_calls: 15}}
          unknown_price: refuse
        """,
    )
    allowed = allowance(said)
    over = allowed.limits_over("a", Limits(), "documentation", "ollama", DAY)
    assert {each: (limits.nano_usd, limits.tokens, limits.calls) for each, limits in over.items()} == {
        Budget("item:a", EVER): (7 * USD, 8, 9),
        Budget("agent:documentation", DAY): (10 * USD, 11, 12),
        Budget("agent:documentation", EVER): (None, None, None),
        Budget("provider:ollama", DAY): (None, None, None),
        Budget("provider:ollama", EVER): (13 * USD, 14, 15),
        Budget("all", DAY): (1 * USD, 2, 3),
        Budget("all", EVER): (4 * USD, 5, 6),
    }
    assert allowed.priced_only


def test_an_operators_prices_are_the_providers_own(tmp_path: Path) -> None:
    said = settings(
        tmp_path,
        """
        prices:
          mine: {input: 1 USD, output: 2 USD}
          ollama/mine: {input: 3 USD, output: 4 USD, cache_read: 0.1 USD}
        """,
    )
    config = provider_config(said)
    anthropic, ollama = config.spec("anthropic"), config.spec("ollama")
    assert anthropic
    assert ollama
    assert anthropic.price_of("mine") == Price(1 * USD, 2 * USD, 1 * USD, 1 * USD)
    assert ollama.price_of("mine") == Price(3 * USD, 4 * USD, USD // 10, 3 * USD)


def test_a_changed_definition_shows_in_its_own_digest_and_in_that_of_the_settings_alone() -> None:
    mine, other = AgentName("mine"), AgentName("other")
    before = Settings(agents={mine: AgentSettings(template="echo"), other: AgentSettings(template="echo")})
    after = changed(before, agents={**before.agents, mine: AgentSettings(template="echo", offers=("b", "a"))})
    old, new, same = (program(each, "1.0") for each in (before, after, changed(after)))
    assert new == same
    assert old.settings != new.settings
    assert {name for name in new.definitions if old.definitions[name] != new.definitions[name]} == {mine}
