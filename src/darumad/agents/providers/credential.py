"""Keys of providers: shown to nobody. A key leaves this room in a request's header and in no message."""

import os
import stat
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Literal

from darumad.agents.providers.config import SHIPPED, KeySource, ProviderConfig
from darumad.errors import Problem, Refused
from darumad.values import Value
from darumad.vault import LONGEST, wrong_with

_UNUSABLE = "a provider's key cannot be used"
_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO
Origin = Literal["systemd", "file", "environment", "store"]
"""Where a key came from, in the order in which they are looked at."""


class Credential:
    """A key that prints as nothing. Only `reveal` gives it, to a client's constructor or to the log's redactor."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The key itself."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credential) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Credential(***)"

    def __reduce__(self) -> str:
        raise TypeError("a credential is not pickled")


class Found(Value):
    """A key, and where it was: `name` is the variable, the file, the credential or the secret."""

    key: Credential
    origin: Origin
    name: str


class Keyring:
    """The providers' keys as they are now. `refresh` looks again; between two looks nothing changes.

    A key from the environment is read once and taken out of it, one from systemd stands until the next start; a file
    and the encrypted store may change while the daemon runs.
    """

    def __init__(self, config: ProviderConfig, environ: MutableMapping[str, str]) -> None:
        self._sources = {name: spec.key for name, spec in {**SHIPPED, **config.providers}.items()}
        self._environ = {name: environ[name] for name in ("CREDENTIALS_DIRECTORY",) if name in environ}
        for source in self._sources.values():
            if source.env and source.env in environ:
                self._environ[source.env] = environ[source.env]
        for name in self._environ.keys() - {"CREDENTIALS_DIRECTORY"}:
            del environ[name]
        self._stored: Callable[[str], str | None] = _nothing
        self._found: dict[str, Found] = {}
        self._refused: Mapping[str, Problem] = {}

    def get(self, provider: str, /) -> Credential | None:
        """The key of `provider`, if it has one."""
        found = self._found.get(provider)
        return found.key if found else None

    def look_into(self, stored: Callable[[str], str | None]) -> None:
        """Where the encrypted store is, once it is open: a secret by its name."""
        self._stored = stored

    def origin(self, provider: str) -> str | None:
        """Where its key came from, as `environment: A_KEY`."""
        found = self._found.get(provider)
        return f"{found.origin}: {found.name}" if found else None

    def known(self) -> dict[str, Credential]:
        """Every key, by provider."""
        return {name: found.key for name, found in self._found.items()}

    def meant(self) -> frozenset[str]:
        """The providers that somebody gave a key, whether or not it can be used: they are chosen, and wait for it."""
        return frozenset((*self._found, *self._refused))

    @property
    def refused(self) -> Mapping[str, Problem]:
        """What was wrong at the last look, by provider; nothing of a key is in it."""
        return self._refused

    def refresh(self) -> frozenset[str]:
        """Look again; the providers whose key is another now. One that is `refused` keeps the key it had.

        A file that is being replaced may be missing for a moment, and one provider's must not hold up another's.
        """
        before = self.known()
        refusals: dict[str, Problem] = {}
        for name, source in self._sources.items():
            try:
                found = find(name, source, self._environ, self._stored)
            except Refused as refused:
                refusals[name] = next(iter(refused.problems), Problem(f"providers.{name}", refused.message))
                continue
            if found is None:
                self._found.pop(name, None)
            else:
                self._found[name] = found
        self._refused = refusals
        after = self.known()
        return frozenset(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def load_credentials(config: ProviderConfig, environ: MutableMapping[str, str]) -> Keyring:
    """The keys that are there now. Variables that held one are removed from `environ`.

    One that cannot be used is `refused` and stops nothing: who needs it waits for a better one, at the start as later.
    """
    keyring = Keyring(config, environ)
    keyring.refresh()
    return keyring


def _nothing(_: str) -> None:
    return None


def find(
    provider: str, source: KeySource, environ: Mapping[str, str], stored: Callable[[str], str | None]
) -> Found | None:
    """The first key that `source` leads to, or None.

    Raises:
        Refused: `bad_settings`: a key file that is named but missing, unreadable, open to others or empty, or a key
            that no request can carry.
    """
    looks: tuple[tuple[Origin, str, str, str, Callable[[], str]], ...] = (
        (
            "systemd",
            "",
            "the systemd credential ",
            f"{source.credential}",
            lambda: _from_systemd(provider, source, environ),
        ),
        ("file", ".key_file", "", f"{source.file}", lambda: _from_file(provider, source)),
        ("environment", ".key_env", "$", f"{source.env}", lambda: environ.get(source.env or "", "").strip()),
        ("store", "", "the secret ", f"{source.credential}", lambda: _from_store(source, stored)),
    )
    for origin, setting, what, name, look in looks:
        value = look()
        if value and (wrong := wrong_with(value)):
            said = f"{what}{name} holds a key that no request can carry: it {wrong}"
            raise _refused(f"providers.{provider}{setting}", said)
        if value:
            return Found(Credential(value), origin, name)
    return None


def _from_systemd(provider: str, source: KeySource, environ: Mapping[str, str]) -> str:
    directory = environ.get("CREDENTIALS_DIRECTORY", "").split(":", 1)[0]
    if not directory or not source.credential:
        return ""
    path = Path(directory, source.credential)
    try:
        return path.read_text(errors="replace").strip() if path.is_file() else ""
    except OSError as error:
        raise _refused(f"providers.{provider}", f"the systemd credential {path}: {error.strerror}") from None


def _from_store(source: KeySource, stored: Callable[[str], str | None]) -> str:
    return (stored(source.credential) or "").strip() if source.credential else ""


def _from_file(provider: str, source: KeySource) -> str:
    if source.file is None:
        return ""
    pointer = f"providers.{provider}.key_file"
    try:
        with open(source.file, errors="replace", opener=_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            value = file.read(2 * LONGEST).strip() if stat.S_ISREG(mode) else ""
    except OSError as error:
        raise _refused(pointer, f"{source.file}: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise _refused(pointer, f"{source.file} is no file; a key is read from a regular one")
    if mode & _OPEN_TO_OTHERS:
        raise _refused(pointer, f"{source.file} can be read by others; `chmod 600` it")
    if not value:
        raise _refused(pointer, f"{source.file} is empty; put the key into it")
    return value


def _at_once(path: str, flags: int) -> int:
    """A pipe that nobody writes to would be waited for without end."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _refused(pointer: str, detail: str) -> Refused:
    return Refused(_UNUSABLE, code="bad_settings", problems=[Problem(pointer, detail)])
