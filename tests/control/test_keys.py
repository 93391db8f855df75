"""Secrets and providers over the socket: what is kept is sealed, what is told is no secret."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from darumad.control import Client
from darumad.errors import Refused
from darumad.vault import KEY_FILE, Vault
from tests.control.conftest import Served

MARKER = "sk-marker-5f1b2c77d0"


def sealed(served: Served, name: str = "far-api-key") -> str | None:
    return served.room.journal.reader().setting(f"secret/{name}")


def test_a_secret_is_sealed_in_the_journal_and_only_its_name_is_told(served: Served) -> None:
    reply = served.client.call("secrets set", {"value": MARKER}, name="far-api-key")
    assert reply == {"name": "far-api-key", "done": "set", "providers": ["far"]}
    kept = sealed(served)
    assert kept
    assert MARKER not in kept
    assert Vault(served.room.directory, {}).open(kept) == MARKER
    (shown,) = served.client.call("secrets list")["items"]
    assert shown == {"name": "far-api-key", "sealed_with": kept.partition(":")[0], "unopened": None}
    assert MARKER not in json.dumps(served.room.journal.reader().audits())


def test_the_key_is_its_owners_alone_and_in_a_file_of_its_own(served: Served) -> None:
    served.client.call("secrets set", {"value": MARKER}, name="far-api-key")
    file = served.room.directory / KEY_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert MARKER not in file.read_text()


def test_a_secret_that_cannot_be_opened_is_listed_with_the_reason_until_it_is_set_again(served: Served) -> None:
    served.client.call("secrets set", {"value": MARKER}, name="far-api-key")
    file = served.room.directory / KEY_FILE
    file.write_text("not-a-key\n")
    (shown,) = served.client.call("secrets list")["items"]
    assert shown["unopened"].startswith(f"line 1 of {file} is no key: restore the file, or remove it")
    file.unlink()
    (shown,) = served.client.call("secrets list")["items"]
    assert f"which {file} does not hold" in shown["unopened"]
    served.client.call("secrets set", {"value": MARKER}, name="far-api-key")
    (shown,) = served.client.call("secrets list")["items"]
    assert shown["unopened"] is None


def test_a_secret_that_is_removed_is_gone(served: Served) -> None:
    served.client.call("secrets set", {"value": MARKER}, name="far-api-key")
    assert served.client.call("secrets remove", {}, name="far-api-key")["done"] == "removed"
    assert served.client.call("secrets list")["items"] == []
    assert not sealed(served)
    with pytest.raises(Refused) as refused:
        served.client.call("secrets remove", {}, name="far-api-key")
    assert refused.value.code == "unknown_secret"


def test_a_rotation_seals_everything_anew_and_forgets_the_old_key(served: Served) -> None:
    for name in ("far-api-key", "near-api-key"):
        served.client.call("secrets set", {"value": f"{MARKER}-{name}"}, name=name)
    before = sealed(served)
    reply = served.client.call("secrets rotate", {})
    after = sealed(served)
    assert before
    assert after
    assert (reply["secrets"], reply["sealed_with"]) == (2, after.partition(":")[0])
    assert reply["sealed_with"] != before.partition(":")[0]
    vault = Vault(served.room.directory, {})
    assert vault.open(after) == f"{MARKER}-far-api-key"
    with pytest.raises(Refused):
        vault.open(before)


def test_a_rotation_that_cannot_open_a_secret_names_it_and_changes_no_key(served: Served) -> None:
    served.client.call("secrets set", {"value": MARKER}, name="far-api-key")
    file = served.room.directory / KEY_FILE
    file.unlink()
    served.client.call("secrets set", {"value": MARKER}, name="near-api-key")
    before, near = file.read_bytes(), sealed(served, "near-api-key")
    for _ in range(2):
        with pytest.raises(Refused, match="the secret far-api-key cannot be opened: it is sealed with") as refused:
            served.client.call("secrets rotate", {})
        assert refused.value.code == "bad_vault"
    assert file.read_bytes() == before
    assert sealed(served, "near-api-key") == near


def test_secrets_that_are_set_and_rotated_at_once_can_all_be_opened(served: Served) -> None:
    names = [f"key-{number}" for number in range(12)]

    def change(name: str) -> None:
        with Client(served.path) as client:
            client.call("secrets set", {"value": MARKER}, name=name)
            client.call("secrets rotate", {})

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(change, names))
    assert {each["name"]: each["unopened"] for each in served.client.call("secrets list")["items"]} == dict.fromkeys(
        names
    )
    assert len((served.room.directory / KEY_FILE).read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "body"),
    [("far-api-key", {"value": ""}), ("far-api-key", {"valeu": MARKER}), ("Far Key", {"value": MARKER}),
     ("far-api-key", {"value": [MARKER]}), ("far-api-key", {"value": MARKER, "note": MARKER}),
     ("far-api-key", {"value": MARKER * 500})],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused_without_telling_it_back(
    served: Served, name: str, body: dict[str, object]
) -> None:
    with pytest.raises(Refused) as refused:
        served.client.call("secrets set", body, name=name)
    assert MARKER not in str(refused.value) + "".join(each.detail for each in refused.value.problems)
    assert served.client.call("secrets list")["items"] == []


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (f"{MARKER}\n{MARKER}", "has a line break in it"),
        (f"{MARKER}\u2028x", "has a line break in it"),
        (f"{MARKER}\u00e9", "has a character that is not ASCII"),
        (f"{MARKER}\tx", "has a control character in it"),
        ("k" * 8_001, "is longer than 8000 characters"),
        (" \n", "is empty"),
    ],
)
def test_a_secret_that_no_request_can_carry_is_refused_by_its_name_and_the_one_before_it_stays(
    served: Served, value: str, wrong: str
) -> None:
    served.client.call("secrets set", {"value": "k" * 8_000}, name="far-api-key")
    before = sealed(served)
    with pytest.raises(Refused) as refused:
        served.client.call("secrets set", {"value": value}, name="far-api-key")
    (problem,) = refused.value.problems
    assert (refused.value.code, problem.pointer) == ("invalid", "/value")
    assert refused.value.message == f"the secret far-api-key is not kept: it {wrong}"
    assert problem.detail == "must be the key alone, on one line of at most 8000 printable ASCII characters"
    assert sealed(served) == before


def test_a_secret_is_kept_without_the_line_break_that_it_ended_with(served: Served) -> None:
    served.client.call("secrets set", {"value": f"{MARKER}\n"}, name="far-api-key")
    assert Vault(served.room.directory, {}).open(sealed(served) or "") == MARKER


def test_a_provider_that_a_check_finds_well_is_said_to_be_mended_and_no_other(served: Served) -> None:
    served.room.providers.well = False
    assert served.client.call("providers check", {}, name="far")["state"] == "error"
    assert served.room.keys.said_mended == set()
    served.room.providers.well = True
    served.client.call("providers check", {}, name="far")
    assert served.room.keys.said_mended == {"far"}


def test_providers_are_listed_and_asked_and_an_unknown_one_is_named(served: Served) -> None:
    (listed,) = served.client.call("providers list")["items"]
    assert (listed["name"], listed["state"], listed["key"]) == ("far", "pending", "store")
    assert served.client.call("providers check", {}, name="far")["state"] == "connected"
    assert served.room.keys.looks == 1
    with pytest.raises(Refused) as refused:
        served.client.call("providers check", {}, name="nowhere")
    assert refused.value.code == "unknown_provider"
