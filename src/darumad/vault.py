"""The vault: seals secrets with a key that lies apart from them, so that a copy of the journal gives none away.

The cipher is Fernet of the library `cryptography` (AES-128-CBC and HMAC-SHA256), imported when a secret is sealed or
opened and not before. Each seal names its key, so that the key can be changed while old seals still open.
"""

import hashlib
import os
import stat
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from darumad.errors import Refused

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY_FILE = "secrets.key"
"""In the state directory, mode 0600: a key a line, the newest first. It belongs in no backup."""
CREDENTIAL = "secrets-key"
"""The systemd credential that takes the file's place."""
LONGEST = 8_000
"""Characters of a secret. A key is sent in a header, and servers hang up on one of more than 8 KiB, saying nothing."""
_PRIVATE = 0o600
_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def wrong_with(secret: str) -> str | None:
    """Why it cannot stand in a header. None may have a line break; in all else clients and servers differ."""
    if not secret:
        return "is empty"
    if len(secret) > LONGEST:
        return f"is longer than {LONGEST} characters"
    if secret.splitlines() != [secret]:
        return "has a line break in it"
    if not secret.isascii():
        return "has a character that is not ASCII"
    return None if secret.isprintable() else "has a control character in it"


class Vault:
    """Seals with the newest key, opens with any. Reads the keys anew each time: they are in memory only meanwhile."""

    def __init__(self, state_dir: Path, environ: Mapping[str, str]) -> None:
        given = environ.get("CREDENTIALS_DIRECTORY", "").split(":", 1)[0]
        self._given = Path(given, CREDENTIAL) if given and Path(given, CREDENTIAL).is_file() else None
        self._file = self._given or state_dir / KEY_FILE

    def seal(self, secret: str) -> str:
        """`secret`, sealed; makes the key when there is none yet.

        Raises:
            Refused: `bad_vault`: the key cannot be used.
        """
        if not self.newest:
            self._grow([])
        name, key = next(iter(self._keys().items()))
        return f"{name}:{key.encrypt(secret.encode()).decode()}"

    def open(self, sealed: str) -> str:
        """What was sealed.

        Raises:
            Refused: `bad_vault`: its key is not there, or it was tampered with.
        """
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 - see above

        name, _, token = sealed.partition(":")
        key = self._keys().get(name)
        if key is None:
            raise _refused(f"it is sealed with the key {name}, which {self._file} does not hold: {self._way_out}")
        try:
            return key.decrypt(token.encode()).decode()
        except InvalidToken:
            raise _refused("it was tampered with, or sealed elsewhere: set it anew") from None

    @property
    def newest(self) -> str:
        """The name of the key that seals now; empty before the first."""
        return next(iter(self._keys()), "")

    def renew(self, in_use: Collection[str]) -> None:
        """From now on a new key seals. What sealed until now and the keys `in_use`, by their names, still open.

        What else is in the file was left there by a change of the key that failed before it had sealed anything.

        Raises:
            Refused: `bad_vault`: the key cannot be used, or is a systemd credential, which only its operator changes.
        """
        if self._given is not None:
            raise _refused(f"the key is the systemd credential {CREDENTIAL}: put a new first line into it and restart")
        known = {self.newest, *in_use}  # a file that cannot be used is left as it is
        self._grow([line for line in self._lines().values() if _name(line) in known])

    def drop_old(self) -> None:
        """Forget every key but the newest: what they sealed must have been sealed anew."""
        if self._given is None and self._file.exists():
            self._write(list(self._lines().values())[:1])

    @property
    def _way_out(self) -> str:
        """What to do about a key that is not there, or none."""
        if self._given is not None:
            return f"restore the systemd credential {CREDENTIAL}, and restart the daemon"
        return "restore the file, or remove it and set the secrets again"

    def _keys(self) -> "dict[str, Fernet]":
        from cryptography.fernet import Fernet  # noqa: PLC0415 - see above

        keys: dict[str, Fernet] = {}
        for number, line in self._lines().items():
            try:
                keys[_name(line)] = Fernet(line)
            except ValueError:
                raise _refused(f"line {number} of {self._file} is no key: {self._way_out}") from None
        return keys

    def _lines(self) -> Mapping[int, str]:
        """The lines that are not blank, by their numbers."""
        try:
            with self._file.open(encoding="ascii") as file:
                mode = os.fstat(file.fileno()).st_mode
                lines = file.read().splitlines()
        except FileNotFoundError:
            return {}
        except UnicodeDecodeError:
            raise _refused(f"{self._file} is no text, and so holds no key: {self._way_out}") from None
        except OSError as error:
            raise _refused(f"{self._file} cannot be read: {error.strerror}; {self._way_out}") from None
        if mode & _OPEN_TO_OTHERS and self._given is None:
            raise _refused(f"{self._file} can be read by others; `chmod 600` it")
        return {number: line.strip() for number, line in enumerate(lines, 1) if line.strip()}

    def _grow(self, lines: Sequence[str]) -> None:
        """Have a new key before these."""
        from cryptography.fernet import Fernet  # noqa: PLC0415 - see above

        self._write([Fernet.generate_key().decode(), *lines])

    def _write(self, lines: list[str]) -> None:
        """Whole or not at all, and on disk before anything is sealed with it."""
        draft = self._file.with_suffix(".new")
        draft.unlink(missing_ok=True)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
        with os.fdopen(fd, "wb") as file:
            file.write("".join(f"{line}\n" for line in lines).encode())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._file)
        directory = os.open(self._file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def key_of(sealed: str) -> str:
    """The name of the key that sealed it."""
    return sealed.partition(":")[0]


def _name(key: str) -> str:
    """Eight hex digits that say which key it is and nothing of it."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def _refused(message: str) -> Refused:
    return Refused(message, code="bad_vault")
