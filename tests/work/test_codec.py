"""What is written is read again, whatever it was; what is derived cannot be written in; digests see what is equal."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darumad.names import Role, Stage
from darumad.values import convert
from darumad.work import (
    Artifact,
    Failure,
    Finding,
    Gate,
    Input,
    Limits,
    Review,
    StopReason,
    Usage,
    Verdict,
    WorkItem,
    WorkResult,
)
from darumad.work.canonical import DIGEST_VERSION, canonical, digest, digest_of_sent
from darumad.work.codec import (
    failure_to_json,
    item_from_text,
    item_to_json,
    limits_to_json,
    result_from_json,
    result_to_json,
    review_from_json,
    review_to_json,
    usage_from_json,
    usage_to_json,
)
from darumad.work.model import Message
from tests.work.build import FAULTY, item

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
WHOLE = st.integers(0, 2**53)
SECONDS = st.floats(0, 1e9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
MAYBE_WHOLE = st.none() | WHOLE
USAGES = st.builds(
    Usage, input_tokens=WHOLE, output_tokens=WHOLE, cached_tokens=WHOLE, calls=WHOLE, nano_usd=MAYBE_WHOLE
)
LIMITS = st.builds(Limits, nano_usd=MAYBE_WHOLE, tokens=MAYBE_WHOLE, calls=MAYBE_WHOLE)
INPUTS = st.builds(
    Input, name=TEXT, media_type=TEXT, text=st.none() | TEXT, upload=st.none() | TEXT, path=st.none() | TEXT
)
ITEMS = st.builds(
    WorkItem,
    id=TEXT,
    description=TEXT,
    phase=TEXT,
    priority=WHOLE,
    requires=TEXTS,
    role=st.sampled_from(Role),
    agent=TEXT,
    stages=st.lists(st.sampled_from(Stage), max_size=4).map(tuple),
    input=JSON,
    messages=st.lists(st.builds(Message, role=st.sampled_from(["user", "assistant"]), text=TEXT), max_size=2).map(
        tuple
    ),
    conversation=st.none() | TEXT,
    parent=st.none() | TEXT,
    lane=TEXT,
    depends_on=TEXTS,
    requirements=TEXTS,
    success_criteria=st.none() | TEXT,
    constraints=TEXTS,
    tech_stack=TEXTS,
    tests=TEXTS,
    inputs=st.lists(INPUTS, max_size=2).map(tuple),
    output_schema=st.none() | st.dictionaries(TEXT, JSON, max_size=2),
    timeout=st.none() | SECONDS,
    idle_timeout=st.none() | SECONDS,
    backoff=st.none() | SECONDS,
    max_attempts=WHOLE,
    max_reviews=WHOLE,
    run_at=MAYBE_WHOLE,
    expires_at=MAYBE_WHOLE,
    budget=LIMITS,
    challenge=st.booleans(),
    labels=st.dictionaries(TEXT, TEXT, max_size=2),
)
FAILURES = st.builds(
    Failure,
    kind=TEXT,
    message=TEXT,
    error_type=TEXT,
    hints=TEXTS,
    retry_after=st.none() | SECONDS,
    circuit_open=st.booleans(),
    target_answered=st.booleans(),
)
ARTIFACTS = st.builds(Artifact, name=TEXT, media_type=TEXT, size=WHOLE, sha256=TEXT)
RESULTS = st.builds(
    WorkResult,
    stop_reason=st.sampled_from(StopReason),
    data=JSON,
    text=TEXT,
    artifacts=st.lists(ARTIFACTS, max_size=2).map(tuple),
    error=st.none() | FAILURES,
    duration=SECONDS,
    model=TEXT,
    template=TEXT,
    notes=st.dictionaries(TEXT, JSON, max_size=2),
)
REVIEWS = st.builds(
    Review,
    gates=st.dictionaries(st.sampled_from(Gate), st.builds(Finding, st.sampled_from(Verdict), TEXTS)),
    required=st.frozensets(st.sampled_from(Gate)),
    recommendations=TEXTS,
    suggested_tests=TEXTS,
    requirements=st.dictionaries(TEXT, st.booleans(), max_size=2),
)


def through_the_wire(value: object) -> dict[str, object]:
    told: dict[str, object] = orjson.loads(orjson.dumps(value))
    return told


def read(data: object) -> WorkItem:
    return item_from_text(orjson.dumps(data).decode())


@given(ITEMS)
def test_an_item_is_read_as_it_was_written(item: WorkItem) -> None:
    assert read(item_to_json(item)) == item


@given(RESULTS)
def test_a_result_is_read_as_it_was_written(result: WorkResult) -> None:
    assert result_from_json(through_the_wire(result_to_json(result))) == result


@given(REVIEWS)
def test_a_review_is_read_as_it_was_written(review: Review) -> None:
    assert review_from_json(through_the_wire(review_to_json(review))) == review


@given(USAGES, LIMITS, FAILURES)
def test_their_parts_are_read_as_they_were_written(usage: Usage, limits: Limits, failure: Failure) -> None:
    assert usage_from_json(through_the_wire(usage_to_json(usage))) == usage
    assert convert(through_the_wire(limits_to_json(limits)), Limits) == limits
    assert convert(through_the_wire(failure_to_json(failure)), Failure) == failure


def test_every_field_is_written_so_that_a_new_default_changes_no_stored_item() -> None:
    assert set(item_to_json(item())) == set(WorkItem.__slots__)
    assert set(result_to_json(FAULTY)) == set(WorkResult.__slots__) | {"success"}


def test_an_older_row_without_a_field_takes_its_default() -> None:
    assert read({"id": "a", "description": "write the report"}) == item()


def test_a_newer_row_with_an_unknown_field_is_read() -> None:
    assert read({**item_to_json(item()), "mood": "good"}) == item()


def test_success_cannot_be_written_into_a_result() -> None:
    told = result_to_json(WorkResult(stop_reason=StopReason.MAX_TOKENS))
    assert not result_from_json({**told, "success": True}).success


def test_a_pass_cannot_be_written_into_a_review() -> None:
    told = {**FAULTY.data, "passed": True, "issues": [], "confidence": 1.0}
    assert not review_from_json(told).passed


def test_an_unknown_price_stays_unknown() -> None:
    assert usage_to_json(Usage(nano_usd=None))["nano_usd"] is None
    assert usage_from_json({"nano_usd": None}).nano_usd is None


@pytest.mark.parametrize("data", [{"id": "a"}, {"description": "b"}, {}])
def test_an_item_without_its_id_or_description_is_refused(data: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="missing required field"):
        read(data)


def test_a_word_of_no_known_stage_is_refused() -> None:
    with pytest.raises(ValueError, match="dreaming"):
        read({"id": "a", "description": "b", "stages": ["dreaming"]})


def test_a_field_that_is_not_what_its_class_declares_is_refused_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"Expected `int`, got `str` - at `\$.priority`"):
        read({"id": "a", "description": "b", "priority": "high"})


# --- digests --------------------------------------------------------------------------------------------------------


def test_the_order_of_fields_does_not_change_a_digest() -> None:
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})


def test_canonical_json_is_sorted_without_spaces_and_in_utf8() -> None:
    assert canonical({"b": [1, None], "a": "だるま"}) == '{"a":"だるま","b":[1,null]}'.encode()


def test_a_digest_names_its_version_and_is_the_same_in_every_release() -> None:
    assert digest({"a": 1}) == f"{DIGEST_VERSION}:015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"


@given(JSON, JSON)
def test_digests_are_equal_exactly_when_the_values_are(one: object, other: object) -> None:
    assert (digest(one) == digest(other)) == (canonical(one) == canonical(other))


def test_what_was_sent_is_told_apart_from_what_was_defaulted() -> None:
    assert digest_of_sent({"description": "b"}) != digest_of_sent({"description": "b", "priority": 5})


def test_the_id_is_the_key_and_no_part_of_what_was_sent() -> None:
    assert digest_of_sent({"id": "a", "description": "b"}) == digest_of_sent({"description": "b"})


@pytest.mark.parametrize("value", [{1: 2}, {1, 2}, 2**70, "\ud800", object()])
def test_what_is_no_json_has_no_digest(value: object) -> None:
    with pytest.raises(TypeError):
        digest(value)
