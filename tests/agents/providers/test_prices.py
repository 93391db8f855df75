"""What a call costs: the shipped prices are genai-prices' own, an operator's stand before them, and nobody guesses."""

from decimal import Decimal
from importlib.resources import files

import genai_prices
import pytest
from genai_prices.data import providers
from hypothesis import given
from hypothesis import strategies as st

from darumad.agents.providers import SHIPPED, ProviderSpec
from darumad.agents.providers.price_seed import VENDORS, drawn, seeded, seeded_window
from darumad.agents.providers.prices import FREE, Price, cost, likely_tokens, upper_bound
from darumad.names import NanoUsd
from darumad.work.model import Message, ModelRequest, ToolSpec
from tests.agents.providers.desk import ask

MODELS = [(vendor.id, model.id) for vendor in providers if vendor.id in VENDORS for model in vendor.models]
CALLS = [(1_000, 50, 0, 0), (500_000, 10, 400_000, 0), (300_000, 10, 100, 200), (100_000, 1, 0, 0), (100_001, 1, 0, 0)]


def test_the_file_is_what_the_locked_genai_prices_says() -> None:
    assert (files("darumad.agents.providers") / "prices.json").read_text() == drawn(), "run `make prices`"


@pytest.mark.parametrize("usage", CALLS, ids=str)
def test_every_seeded_price_comes_to_what_the_library_computes(usage: tuple[int, int, int, int]) -> None:
    read, said, cached, written = usage
    compared = 0
    for vendor, model in MODELS:
        price = seeded(vendor, model)
        ours = cost(price, fresh=read - cached - written, cached=cached, written=written, output=said)
        if ours is None or model.startswith("ft:"):
            continue  # not paid by the token, or a family of models that is none itself
        theirs = genai_prices.calc_price(
            genai_prices.Usage(
                input_tokens=read, output_tokens=said, cache_read_tokens=cached, cache_write_tokens=written
            ),
            model,
            provider_id=vendor,
        )
        assert Decimal(ours) / 10**9 == theirs.total_price.quantize(Decimal("1e-9")), model
        compared += 1
    assert compared > 100


def test_every_seeded_window_is_the_library_s() -> None:
    known = {(vendor.id, model.id): model.context_window for vendor in providers for model in vendor.models}
    seeds = {each: seeded_window(*each) for each in MODELS if seeded(*each) and not each[1].startswith("ft:")}
    assert {each: window for each, window in seeds.items() if window != known[each]} == {}
    assert seeds["anthropic", "claude-haiku-4-5"] == 200_000


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("claude-opus-5-5-20261001", "claude-opus-5-5"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet"),
    ],
)
def test_a_dated_name_has_its_family_s_price(model: str, family: str) -> None:
    assert seeded("anthropic", model) == seeded("anthropic", family) is not None


@pytest.mark.parametrize("model", ["claude-of-tomorrow", "claude-opus-5-5-mini", "", "sonnet"])
def test_a_price_that_nobody_knows_is_none_and_never_zero(model: str) -> None:
    spec = ProviderSpec(kind="anthropic")
    assert spec.price_of(model) is None
    assert cost(None, fresh=1, cached=1, written=1, output=1) is None
    assert upper_bound(None, ask()).nano_usd is None


def test_every_shipped_model_has_a_price() -> None:
    assert all(spec.price_of(spec.model) for spec in SHIPPED.values() if spec.model)


def test_a_model_of_one_s_own_is_free_unless_its_owner_says_what_it_costs() -> None:
    own = Price(1, 2, 3, 4)
    assert ProviderSpec(kind="ollama").price_of("anything") == FREE
    assert ProviderSpec(kind="ollama", prices={"anything": own}).price_of("anything") == own
    assert ProviderSpec(kind="anthropic", prices={"claude-opus-5-5": own}).price_of("claude-opus-5-5") == own


def test_cached_tokens_have_their_own_price_and_long_prompts_theirs() -> None:
    haiku = seeded("anthropic", "claude-haiku-5-5")
    assert cost(haiku, fresh=10, cached=1_000, written=100, output=5) == 10 * 100 + 1_000 * 10 + 100 * 125 + 5 * 500
    assert cost(haiku, fresh=100_000, cached=0, written=0, output=1) == 100_000 * 100 + 500
    assert cost(haiku, fresh=100_001, cached=0, written=0, output=1) == 100_001 * 500 + 2_500


def test_a_part_of_a_nano_dollar_is_rounded_up() -> None:
    assert cost(Price(1, 0, 0, 0), fresh=1, cached=0, written=0, output=0) == 1


AMOUNTS = st.integers(0, 10**10)
PRICES = st.builds(Price, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)


@given(st.text(max_size=200), PRICES, st.booleans(), st.data())
def test_no_call_costs_more_than_its_estimate(text: str, price: Price, tools: bool, data: st.DataObject) -> None:
    tool = ToolSpec(name="read", says="Read a file", schema={"type": "object"})
    request = ModelRequest(
        messages=(Message(role="user", text=text),), max_tokens=1_000, tools=(tool,) if tools else ()
    )
    most = upper_bound(price, request)
    assert most.input_tokens >= len(text.encode())
    assert (most.output_tokens, most.calls) == (1_000, 1)
    tokens = st.integers(0, most.input_tokens)
    cached = data.draw(tokens)
    written = data.draw(st.integers(0, most.input_tokens - cached))
    fresh = most.input_tokens - cached - written
    if price.cache_read <= price.input:
        paid = cost(price, fresh=fresh, cached=cached, written=written, output=data.draw(st.integers(0, 1_000)))
        assert (paid or 0) <= (most.nano_usd or NanoUsd(0)) + 1
    assert likely_tokens(request) <= most.input_tokens


def test_short_words_are_more_tokens_than_their_bytes_say() -> None:
    bytes_only, words = ask("x" * 2_000), ask("x " * 1_000)
    assert likely_tokens(bytes_only) == pytest.approx(2_000 / 3.2, abs=10)
    assert likely_tokens(words) == pytest.approx(1_300, abs=10)
