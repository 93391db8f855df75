"""The vault: what is sealed opens with its key and with no other, and a wrong key file is refused by its name."""

import resource
from pathlib import Path

import pytest

from darumad.errors import Refused
from darumad.vault import CREDENTIAL, KEY_FILE, Vault, key_of

SECRET = "sk-marker-9d2e"


def test_what_is_sealed_opens_again_also_in_another_life(tmp_path: Path) -> None:
    sealed = Vault(tmp_path, {}).seal(SECRET)
    assert SECRET not in sealed
    assert Vault(tmp_path, {}).open(sealed) == SECRET
    assert Vault(tmp_path, {}).seal(SECRET) != sealed, "two seals of one secret have nothing in common"


def test_old_seals_open_until_their_key_is_dropped(tmp_path: Path) -> None:
    vault = Vault(tmp_path, {})
    sealed = vault.seal(SECRET)
    vault.renew({key_of(sealed)})
    assert vault.open(sealed) == SECRET
    assert vault.seal(SECRET).partition(":")[0] == vault.newest != sealed.partition(":")[0]
    vault.drop_old()
    with pytest.raises(Refused) as refused:
        vault.open(sealed)
    assert refused.value.code == "bad_vault"


def test_a_key_that_is_changed_again_and_again_in_vain_leaves_no_heap_of_keys_and_loses_none_in_use(
    tmp_path: Path,
) -> None:
    vault = Vault(tmp_path, {})
    sealed = [vault.seal(SECRET)]
    vault.renew(set(map(key_of, sealed)))
    sealed.append(vault.seal(SECRET))
    for _ in range(5):
        vault.renew(set(map(key_of, sealed)))
    assert [vault.open(each) for each in sealed] == [SECRET] * 2
    assert len((tmp_path / KEY_FILE).read_text().splitlines()) == 4, "two in use, the newest, and the one before it"


def test_a_key_that_finds_no_room_on_the_disk_costs_no_key_that_is_there(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    vault = Vault(tmp_path, {})
    sealed = vault.seal(SECRET)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    request.addfinalizer(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (60, hard))  # room for one key, and a part of the next
    with pytest.raises(OSError, match="too large"):
        vault.renew({key_of(sealed)})
    assert vault.open(sealed) == SECRET


def test_a_seal_that_was_tampered_with_does_not_open(tmp_path: Path) -> None:
    vault = Vault(tmp_path, {})
    sealed = vault.seal(SECRET)
    with pytest.raises(Refused, match="tampered"):
        vault.open(sealed[:-4] + ("AAA=" if not sealed.endswith("AAA=") else "BBB="))


def test_a_systemd_credential_takes_the_files_place_and_is_not_changed(tmp_path: Path) -> None:
    sealed = Vault(tmp_path, {}).seal(SECRET)
    given = tmp_path / "given"
    given.mkdir()
    (tmp_path / KEY_FILE).rename(given / CREDENTIAL)
    vault = Vault(tmp_path, {"CREDENTIALS_DIRECTORY": str(given)})
    assert vault.open(sealed) == SECRET
    with pytest.raises(Refused, match="systemd credential"):
        vault.renew(set())
    vault.drop_old()
    assert not (tmp_path / KEY_FILE).exists()


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    vault = Vault(tmp_path, {})
    sealed = vault.seal(SECRET)
    (tmp_path / KEY_FILE).chmod(mode)
    with pytest.raises(Refused, match="chmod 600"):
        vault.open(sealed)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (b"\nnot-a-key\n", "line 2 of {file} is no key"),
        (b"\x80\xff\x00not-a-key", "{file} is no text, and so holds no key"),
    ],
)
def test_a_file_that_holds_no_key_is_told_with_the_way_out_and_left_as_it_is_and_nothing_of_it_is_told(
    tmp_path: Path, broken: bytes, said: str
) -> None:
    file = tmp_path / KEY_FILE
    file.write_bytes(broken)
    file.chmod(0o600)
    for asked in (lambda: Vault(tmp_path, {}).seal(SECRET), lambda: Vault(tmp_path, {}).renew(set())):
        with pytest.raises(Refused) as refused:
            asked()
        way_out = "restore the file, or remove it and set the secrets again"
        assert (refused.value.code, refused.value.message) == ("bad_vault", f"{said.format(file=file)}: {way_out}")
    assert file.read_bytes() == broken


def test_a_credential_that_holds_no_key_is_to_be_restored_and_not_removed(tmp_path: Path) -> None:
    (tmp_path / CREDENTIAL).write_text("not-a-key\n")
    with pytest.raises(Refused, match=f"restore the systemd credential {CREDENTIAL}, and restart the daemon$"):
        Vault(tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).seal(SECRET)
