"""Keys of providers: read once, shown to nobody. A key leaves this room in a request's header and in no message."""

import os
import stat
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from darumad.agents.providers.config import SHIPPED, KeySource, ProviderConfig
from darumad.errors import Problem, Refused

_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Credential:
    """A key that prints as nothing. Only `reveal` gives it, to a client's constructor or to the log's redactor."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The key itself."""
        return self._value

    def __repr__(self) -> str:
        return "Credential(***)"

    def __reduce__(self) -> str:
        raise TypeError("a credential is not pickled")


def load_credentials(config: ProviderConfig, environ: MutableMapping[str, str]) -> dict[str, Credential]:
    """The keys that are there, by provider name. Variables that held one are removed from `environ`.

    Raises:
        Refused: `bad_settings`: a key file that is named but missing, unreadable, or open to others.
    """
    specs = {**SHIPPED, **config.providers}
    found = {name: read_credential(name, spec.key, environ) for name, spec in specs.items()}
    for spec in specs.values():
        if spec.key.env:
            environ.pop(spec.key.env, None)
    return {name: key for name, key in found.items() if key is not None}


def read_credential(provider: str, source: KeySource, environ: Mapping[str, str]) -> Credential | None:
    """The first key that `source` leads to, or None.

    Raises:
        Refused: see `load_credentials`.
    """
    value = _from_systemd(source, environ) or _from_file(provider, source) or environ.get(source.env or "", "").strip()
    return Credential(value) if value else None


def _from_systemd(source: KeySource, environ: Mapping[str, str]) -> str:
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory or not source.credential:
        return ""
    path = Path(directory, source.credential)
    return path.read_text().strip() if path.is_file() else ""


def _from_file(provider: str, source: KeySource) -> str:
    if source.file is None:
        return ""
    pointer = f"providers.{provider}.key_file"
    try:
        with source.file.open() as file:
            mode = os.fstat(file.fileno()).st_mode
            value = file.read().strip()
    except OSError as error:
        raise _refused(pointer, f"{source.file}: {error.strerror}") from None
    if mode & _OPEN_TO_OTHERS:
        raise _refused(pointer, f"{source.file} can be read by others; `chmod 600` it")
    return value


def _refused(pointer: str, detail: str) -> Refused:
    return Refused("a provider's key cannot be used", code="bad_settings", problems=[Problem(pointer, detail)])
