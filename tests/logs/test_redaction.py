"""Redaction: known values, known shapes and telling names lose what is secret; everything else stays as it is."""

from base64 import b64encode
from urllib.parse import quote

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from darumad.redaction import MASK, Redactor

PRINTABLE = st.characters(exclude_categories=("C", "Z"), include_characters=" ")
KEYS = (
    "sk-ant-api03-AbCdEf0123456789AbCdEf",
    "sk-proj-AbCdEf0123456789AbCdEf",
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1B2" * 9,
    "glpat-" + "a1B2" * 5,
    "hf_" + "a1B2" * 8,
    "xoxb-123456789012-abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "AIza" + "a1B2" * 9,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("around", ["{}", "key {}.", '{{"message":"bad key {}"}}', "https://x/?k={}&y=1"])
def test_a_key_of_a_known_shape_is_taken_out(key: str, around: str) -> None:
    redact = Redactor()
    text = around.format(key)
    assert redact.suspects(text)
    assert key[8:] not in redact(text)
    assert MASK in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"api_key":"hunter-two"}', '{"password": "hunter-two"}', '{"x":{"client_secret":"hunter-two"}}',
        "password=hunter-two&x=1", "Authorization: Bearer hunter-two", "authorization: Basic hunter-two",
        "x-api-key: hunter-two", "Set-Cookie: hunter-two; Path=/", "{'token': 'hunter-two'}", 'API_KEY="hunter-two"',
        '{"body":"{\\"token\\": \\"hunter-two\\"}"}', "postgres://daruma:hunter-two@db/x", "DB_PASSWORD=hunter-two",
        '{"password":"hunter-two \\" hunter-two"}', "sent: Bearer hunter-two",
        "authorization: hunter-two", "apikey=hunter-two",
    ],
)  # fmt: skip
def test_what_stands_behind_a_telling_name_is_taken_out(text: str) -> None:
    redact = Redactor()
    assert redact.suspects(text)
    assert "hunter-two" not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"input_tokens":123,"output_tokens":45}', "max_tokens: 800", "task-0190b7c1-7a6f-7e10-8f2a-1234567890ab",
        '{"token":null,"secret":false}', "disk-1234567890123456789 is full", "the secretary wrote a cookie recipe",
        "a token of thanks", "http://127.0.0.1:11434/api/chat", "mail me@example.org", "basic research goes on",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert Redactor()(text) == text


@given(st.text(PRINTABLE, min_size=6, max_size=40).filter(lambda text: len(text.strip()) >= 6))
@example("two lines\nof\tone\r\nkey")
def test_a_known_credential_is_found_as_it_stands_and_as_json_writes_it(secret: str) -> None:
    redact = Redactor()
    redact.conceal(secret)
    assert secret.strip() not in redact(f"<<{secret}>>").replace(MASK, "")
    written = orjson.dumps({"said": f"<<{secret}>>"}).decode()
    assert redact.suspects(written)
    assert secret.strip() not in orjson.loads(redact(written))["said"].replace(MASK, "")


@given(st.text(PRINTABLE, min_size=6, max_size=40).filter(lambda text: len(text.strip()) >= 6))
@example('it\'s "mine"')
@example("mine/and+yours/too")
def test_a_known_credential_is_found_as_a_url_and_as_python_writes_it(secret: str) -> None:
    redact = Redactor()
    redact.conceal(secret)
    for written in (quote(secret.strip(), safe=""), repr(secret.strip())[1:-1]):
        assert redact.suspects(f"?k={written}&y=1")
        assert redact.loaded(f"?k={written}&y=1") == f"?k={MASK}&y=1"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("password=hunter-two&x=1", f"password={MASK}&x=1"),
        ('{"api_key": "hunter-two", "n": 1}', f'{{"api_key": "{MASK}", "n": 1}}'),
        ('{"body":"{\\"token\\": \\"hunter-two\\"}"}', f'{{"body":"{{\\"token\\": \\"{MASK}\\"}}"}}'),
        ("postgres://daruma:hunter-two@db/x", f"postgres://daruma:{MASK}@db/x"),
        ("Authorization: Bearer hunter-two, and more", f"Authorization: {MASK} {MASK}, and more"),
    ],
)
def test_what_stands_around_a_secret_stays_as_it_is(text: str, left: str) -> None:
    assert Redactor()(text) == left


def test_a_plain_line_is_not_looked_through() -> None:
    assert not Redactor().suspects("2026-11-21 the disk is full: 12 input_tokens were not kept")


def test_a_credential_within_another_does_not_uncover_it() -> None:
    redact = Redactor()
    redact.conceal("abcdef")
    redact.conceal("abcdef-ghijkl")
    assert redact("x abcdef-ghijkl y") == f"x {MASK} y"


def test_each_credential_is_looked_for_without_what_its_file_has_around_it() -> None:
    redact = Redactor()
    redact.conceal("first-of-two\n")
    redact.conceal(" second-of-two\n")
    assert redact("first-of-two, second-of-two") == f"{MASK}, {MASK}"


def test_a_very_short_credential_is_not_looked_for() -> None:
    redact = Redactor()
    redact.conceal("ab")
    assert redact("about") == "about"


@given(st.text(max_size=200))
def test_what_is_not_suspected_is_not_changed(text: str) -> None:
    redact = Redactor()
    assert redact.suspects(text) or redact(text) == text


@given(st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=10), st.binary(), st.binary())
def test_a_loaded_credential_is_found_in_base64_wherever_it_begins(value: str, before: bytes, behind: bytes) -> None:
    redact = Redactor()
    redact.conceal(value)
    text = b64encode(before + value.encode() + behind).decode()
    assert redact.suspects(text)
    assert MASK in redact(text)


def test_what_a_model_writes_loses_the_credentials_that_were_loaded_and_nothing_else() -> None:
    redact = Redactor()
    redact.conceal("marker-of-mine")
    text = f"password=hunter-two, {KEYS[0]}"
    assert redact.loaded(text) is text
    assert redact.loaded(f"{text}, marker-of-mine") == f"{text}, {MASK}"
