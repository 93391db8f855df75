"""Which provider is used and why, and where keys come from."""

import os
import pickle
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from darumad.agents.providers import (
    SHIPPED,
    Credential,
    Keyring,
    KeySource,
    ProviderConfig,
    ProviderSpec,
    choose,
    discover,
    load_credentials,
)
from darumad.agents.providers.choose import ollama_models
from darumad.agents.providers.offline import Offline
from darumad.sim import Simulation
from darumad.work.model import ModelFailed
from tests.agents.providers.desk import KEY, Desk

OURS = {"here": ProviderSpec(kind="ollama", base_url="http://127.0.0.1:1", model="mine")}


@pytest.mark.parametrize(
    ("use", "providers", "key", "ollama", "model", "chosen"),
    [
        ("auto", {}, True, True, None, ("anthropic", "claude-sonnet-5-5")),
        ("auto", {}, True, False, None, ("anthropic", "claude-sonnet-5-5")),
        ("auto", {}, False, True, "llama3.2", ("ollama", "llama3.2")),
        ("auto", {}, False, True, None, ("offline", None)),
        ("auto", {}, False, False, None, ("offline", None)),
        ("auto", OURS, False, True, "other", ("here", "mine")),
        ("offline", OURS, True, True, None, ("offline", None)),
        ("anthropic", {}, False, False, None, ("anthropic", "claude-sonnet-5-5")),
        ("ollama", {}, True, True, "llama3.2", ("ollama", "llama3.2")),
        ("ollama", {}, True, False, None, ("ollama", None)),
        ("here", OURS, True, True, "other", ("here", "mine")),
        ("nowhere", OURS, True, True, None, ("offline", None)),
    ],
)
def test_the_choice_is_a_table(*, use, providers, key, ollama, model, chosen) -> None:
    config = ProviderConfig(use=use, providers=providers)
    found = choose(config, key_present=key, ollama_answers=ollama, ollama_model=model)
    assert (found.provider, found.model) == chosen
    assert found.why
    assert config.using(found.provider, found.model).use == chosen[0]


async def test_an_ollama_that_answers_is_found_with_its_first_model(sim: Simulation) -> None:
    config = ProviderConfig(providers={"here": ProviderSpec(kind="ollama", base_url=sim.url("ollama"))})
    found = await discover(config, {})
    assert (found.provider, found.model) == ("here", "llama3.2:latest")


async def test_with_a_key_nobody_is_probed(sim: Simulation) -> None:
    config = ProviderConfig(providers={"here": ProviderSpec(kind="ollama", base_url=sim.url("ollama"))})
    found = await discover(config, {"anthropic": Credential(KEY)})
    assert (found.provider, sim.attempts()) == ("anthropic", ())


async def test_what_listens_but_says_nothing_is_no_ollama() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        spec = ProviderSpec(kind="ollama", base_url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert await ollama_models(spec, within=0.05) is None


def answering(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0\r\n\r\n",
        answering(b"hello"),
        answering(b"[" * 100_000),
        answering(b'{"models": [{"name": null}]}'),
        answering(b'{"models": [{"name": "\\ud800"}]}'),
    ],
    ids=["no HTTP", "no JSON", "JSON too deep", "a name that is none", "a name that is no text"],
)
async def test_what_answers_in_another_tongue_is_no_ollama(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        spec = ProviderSpec(kind="ollama", base_url=f"http://127.0.0.1:{other.getsockname()[1]}")
        assert await ollama_models(spec, within=10) is None
        thread.join()


async def test_offline_has_no_model_and_says_how_to_get_one(desk: Desk) -> None:
    desk.use = "offline"
    assert desk.complete().model is None
    failed = await desk.failure()
    assert failed.kind == "model_not_found"
    assert "ANTHROPIC_API_KEY" in failed.message
    assert "Ollama" in str(failed)
    assert Offline().model is None


async def test_a_provider_that_nobody_chose_is_offline(desk: Desk) -> None:
    desk.use = "auto"
    assert (desk.complete().model, desk.broker.provider_of("executor")) == (None, "offline")


# --- keys -------------------------------------------------------------------------------------------------------------


def only(source: KeySource) -> ProviderConfig:
    return ProviderConfig(providers={"anthropic": ProviderSpec(kind="anthropic", key=source)})


def file_of(path: Path, mode: int) -> Path:
    path.write_text(KEY + "\n")
    path.chmod(mode)
    return path


def test_a_key_in_the_environment_is_taken_out_of_it() -> None:
    environ = {"ANTHROPIC_API_KEY": KEY, "HOME": "/root"}
    assert load_credentials(ProviderConfig(), environ).known()["anthropic"].reveal() == KEY
    assert environ == {"HOME": "/root"}


def test_a_systemd_credential_comes_before_a_file_and_a_file_before_the_environment(tmp_path: Path) -> None:
    source = KeySource(credential="anthropic", file=file_of(tmp_path / "key", 0o600), env="A_KEY")
    (tmp_path / "anthropic").write_text("from systemd")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "A_KEY": "from the environment"}
    assert load_credentials(only(source), environ).known()["anthropic"].reveal() == "from systemd"
    assert "A_KEY" not in environ
    assert load_credentials(only(source), {"A_KEY": "x"}).known()["anthropic"].reveal() == KEY


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_file_that_others_can_read_is_refused_by_its_name(tmp_path: Path, mode: int) -> None:
    path = file_of(tmp_path / "key", mode)
    keyring = load_credentials(only(KeySource(file=path)), {})
    problem = keyring.refused["anthropic"]
    assert problem.pointer == "providers.anthropic.key_file"
    assert str(path) in problem.detail
    assert KEY not in problem.detail
    assert keyring.get("anthropic") is None


def test_a_key_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    keyring = load_credentials(only(KeySource(file=tmp_path / "none")), {})
    assert str(tmp_path / "none") in keyring.refused["anthropic"].detail


def test_a_key_file_that_would_be_waited_for_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key", 0o600)
    keyring = load_credentials(only(KeySource(file=tmp_path / "key")), {})
    assert "no file; a key is read from a regular one" in keyring.refused["anthropic"].detail


@pytest.mark.parametrize("text", ["", " \n\n"])
def test_a_key_file_that_is_empty_is_refused_by_its_name_and_a_key_elsewhere_does_not_stand_in_for_it(
    tmp_path: Path, text: str
) -> None:
    path = file_of(tmp_path / "key", 0o600)
    path.write_text(text)
    keyring = load_credentials(only(KeySource(file=path, env="A_KEY")), {"A_KEY": KEY})
    assert keyring.refused["anthropic"].detail == f"{path} is empty; put the key into it"
    assert keyring.get("anthropic") is None


def test_a_key_that_was_read_stays_in_use_while_its_file_is_empty(tmp_path: Path) -> None:
    path = file_of(tmp_path / "key", 0o600)
    keyring = load_credentials(only(KeySource(file=path)), {})
    path.write_text("")
    assert (keyring.refresh(), keyring.get("anthropic")) == (frozenset(), Credential(KEY))
    path.write_text("sk-another")
    assert (keyring.refresh(), keyring.refused) == ({"anthropic"}, {})


@pytest.mark.parametrize(
    ("kind", "url", "file", "needs"),
    [
        ("anthropic", None, None, True),
        ("openai", None, None, True),
        ("openai", "http://127.0.0.1:1/v1", None, False),
        ("openai", "http://127.0.0.1:1/v1", Path("/a/key"), True),
        ("ollama", None, None, False),
        ("ollama", "http://127.0.0.1:1", Path("/a/key"), True),
    ],
)
def test_nobody_is_asked_without_the_key_that_they_want_or_that_the_settings_name_a_file_for(
    kind: Any, url: str | None, file: Path | None, needs: bool
) -> None:
    assert ProviderSpec(kind=kind, base_url=url, key=KeySource(file=file)).needs_key is needs


def two_files(tmp_path: Path) -> ProviderConfig:
    files = {name: file_of(tmp_path / name, 0o600) for name in ("a", "b")}
    return ProviderConfig(
        providers={name: ProviderSpec(kind="anthropic", key=KeySource(file=path)) for name, path in files.items()}
    )


def test_a_key_that_changes_is_heeded_while_the_file_of_another_is_missing(tmp_path: Path) -> None:
    keyring = load_credentials(two_files(tmp_path), {})
    (tmp_path / "a").unlink()
    (tmp_path / "b").write_text("sk-another")
    assert keyring.refresh() == {"b"}
    assert {name: key.reveal() for name, key in keyring.known().items()} == {"a": KEY, "b": "sk-another"}
    assert str(tmp_path / "a") in keyring.refused["a"].detail
    file_of(tmp_path / "a", 0o600)
    assert (keyring.refresh(), keyring.refused) == (frozenset(), {})


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("k\u00e9y-1f", "has a character that is not ASCII"),
        ("abcd\nX-Evil: 1", "has a line break in it"),
        ("tab\tkey", "has a control character in it"),
        ("nul\0key", "has a control character in it"),
        ("abcd" * 2_001, "is longer than 8000 characters"),
    ],
)
@pytest.mark.parametrize("origin", ["systemd", "file", "environment", "store"])
def test_a_key_that_no_request_can_carry_is_refused_by_where_it_is_and_what_is_wrong_with_it(
    tmp_path: Path, origin: str, value: str, wrong: str
) -> None:
    (tmp_path / "cred").write_text(value if origin == "systemd" else "")
    file = file_of(tmp_path / "key", 0o600)
    file.write_text(value)
    source = KeySource(credential="cred", file=file if origin == "file" else None, env="A_KEY")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)} | ({"A_KEY": value} if origin == "environment" else {})
    keyring = Keyring(only(source), environ)
    keyring.look_into(lambda name: value if origin == "store" and name == "cred" else None)
    keyring.refresh()
    said = keyring.refused["anthropic"].detail
    where = {"systemd": "credential cred", "file": str(file), "environment": "$A_KEY", "store": "the secret cred"}
    assert f"{where[origin]} holds a key that no request can carry: it {wrong}" in said
    assert not any(part in said for part in ("k\u00e9y", "abcd", "X-Evil", "tab", "nul"))
    assert keyring.get("anthropic") is None


@pytest.mark.parametrize("origin", ["systemd", "file", "environment", "store"])
def test_a_key_is_told_by_where_it_is_and_never_by_what_it_is(tmp_path: Path, origin: str) -> None:
    (tmp_path / "cred").write_text(KEY if origin == "systemd" else "")
    file = file_of(tmp_path / "key", 0o600)
    source = KeySource(credential="cred", file=file if origin == "file" else None, env="A_KEY")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)} | ({"A_KEY": KEY} if origin == "environment" else {})
    keyring = Keyring(only(source), environ)
    keyring.look_into(lambda name: KEY if origin == "store" and name == "cred" else None)
    keyring.refresh()
    names = {"systemd": "cred", "file": str(file), "environment": "A_KEY", "store": "cred"}
    assert keyring.origin("anthropic") == f"{origin}: {names[origin]}"
    assert keyring.get("anthropic") == Credential(KEY)


def test_a_key_file_of_bytes_that_are_no_text_is_refused(tmp_path: Path) -> None:
    path = file_of(tmp_path / "key", 0o600)
    path.write_bytes(b"sk-\xff\xfe")
    assert "not ASCII" in load_credentials(only(KeySource(file=path)), {}).refused["anthropic"].detail


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_systemd_credential_that_may_not_be_read_is_refused(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    for each in (tmp_path, *tmp_path.parents[:-2]):
        each.chmod(0o755)
    path = file_of(tmp_path / "cred", 0o600)
    request.addfinalizer(lambda: os.seteuid(0))
    os.seteuid(65534)
    keyring = load_credentials(only(KeySource(credential="cred")), {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert keyring.refused["anthropic"].detail == f"the systemd credential {path}: Permission denied"


def test_whoever_was_given_a_key_that_cannot_be_used_is_still_meant() -> None:
    keyring = load_credentials(ProviderConfig(), {"ANTHROPIC_API_KEY": "sk-a\nb", "OPENAI_API_KEY": KEY})
    assert (keyring.meant(), set(keyring.known())) == ({"anthropic", "openai"}, {"openai"})


def test_the_providers_that_are_used_are_the_chosen_one_the_agents_own_and_who_stands_in_for_them() -> None:
    spare = ProviderSpec(kind="ollama", fallback="anthropic")
    config = ProviderConfig(use="anthropic", providers={"spare": spare, "idle": spare}, by_agent={"a": "spare"})
    assert config.used == ("anthropic", "spare")
    assert ProviderConfig(use="spare", providers={"spare": spare}).used == ("spare", "anthropic")
    assert ProviderConfig(use="offline").used == ()


def test_without_a_key_there_is_none() -> None:
    assert load_credentials(ProviderConfig(), {}).known() == {}


def test_a_credential_prints_as_nothing_and_is_not_pickled() -> None:
    key = Credential(KEY)
    assert KEY not in f"{key}{key!r}{[key]}{vars(ProviderConfig) and key}"
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert os.environ.get("A_KEY") is None


def test_every_shipped_provider_prints_without_a_key() -> None:
    assert {spec.kind for spec in SHIPPED.values()} == {"anthropic", "ollama", "openai"}
    assert ModelFailed("auth", "x").retry_after is None
