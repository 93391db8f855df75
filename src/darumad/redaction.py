"""Redaction: secrets are taken out of text that is about to leave. Pure, but for the register of known credentials.

Three nets, from the surest to the widest: the exact values of every credential that was loaded, the known shapes of
keys, and the values that stand behind a telling name. A quick look for tell-tale words spares most lines the last two.
"""

import re
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import quote

MASK = "[redacted]"
"""What stands in the place of a secret."""
SHORTEST = 6
"""A credential of fewer characters is not looked for: it would be found in ordinary words."""

_ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})

_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (begins, re.compile(f"{re.escape(begins)}{rest}", re.DOTALL))
    for begins, rest in (
        ("sk-", r"(?<![A-Za-z0-9]sk-)[A-Za-z0-9][\w-]{14,}"),  # Anthropic, OpenAI and their kin
        ("github_pat_", r"\w{20,}"),
        ("gh", r"[opsur]_[A-Za-z0-9]{20,}"),
        ("glpat-", r"[\w-]{16,}"),
        ("hf_", r"[A-Za-z0-9]{16,}"),
        ("xox", r"[abeoprs]-[\w-]{10,}"),
        ("AKIA", r"[A-Z0-9]{16}"),
        ("ASIA", r"[A-Z0-9]{16}"),
        ("AIza", r"[\w-]{30,}"),
        ("eyJ", r"[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),  # a JSON web token
        ("-----BEGIN", r"[ A-Z]*PRIVATE KEY-----.*?(?:-----END[ A-Z]*PRIVATE KEY-----|\Z)"),
    )
)
"""How each known key begins, and its whole shape: the beginning is cheap to look for."""
_BEGINNINGS = tuple(begins for begins, _ in _SHAPES)
_BEARER = re.compile(r"(\bbearer\s+|authorization[\"':=\\\s]+basic\s+)[\w.~+/=-]{6,}", re.IGNORECASE)
_USERINFO = re.compile(r"(://[^\s/:@\"]*:)[^\s/@\"]+(?=@)")
_NAMED = re.compile(
    r"""
    (?P<name> (?<![A-Za-z])                                          # x-api-key, db_password
        (?:authorization|api[_-]?key|passw(?:or)?d|token|secret|(?:set-)?cookie)
        (?P<quote>\\*["']?) \s*[:=]\s* )                              # "token": , token=
    (?: (?P<open>\\*["']) (?P<quoted>(?:\\.|(?!(?P=open))[^\\])*) (?P=open)
      | (?!null\b|true\b|false\b|None\b|True\b|False\b|\[redacted\]) (?P<bare>[^\s"',;&}\])\\]+) )
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_TELLING = ("authoriz", "api_key", "api-key", "apikey", "passw", "secret", "cookie")
_SCHEMES = ("bearer", "basic ")


class Redactor:
    """Takes secrets out of text; learns the exact ones by `conceal`. Both may be called from any thread."""

    __slots__ = ("_exact",)

    def __init__(self) -> None:
        self._exact: tuple[str, ...] = ()

    def conceal(self, value: str) -> None:
        """Look for `value` from now on, as it stands and as JSON, Python, a URL and base64 write it."""
        value = value.strip()
        if len(value) >= SHORTEST:
            written = (value, value.translate(_ESCAPES), repr(value)[1:-1], quote(value, safe=""), *_coded(value))
            self._exact = _longest_first({*self._exact, *written})

    def suspects(self, text: str) -> bool:
        """Whether there may be a secret in `text`: a quick look, for many lines at once."""
        return (
            _any_in(text, self._exact)
            or _any_in(text, _BEGINNINGS)
            or ("://" in text and "@" in text)
            or _tells(lowered := text.lower())
            or _any_in(lowered, _SCHEMES)
        )

    def loaded(self, text: str) -> str:
        """`text` without the credentials that were loaded, and otherwise as it is; the same object without any.

        For what is no log: a model may well write of keys and tokens.
        """
        for value in self._exact:
            if value in text:
                text = text.replace(value, MASK)
        return text

    def __call__(self, text: str) -> str:
        """`text` without what is secret in it; the same object when there is nothing."""
        text = self.loaded(text)
        for begins, shape in _SHAPES:
            if begins in text:
                text = shape.sub(MASK, text)
        lowered = text.lower()
        if _any_in(lowered, _SCHEMES):
            text = _BEARER.sub(rf"\1{MASK}", text)
        if "://" in text and "@" in text:
            text = _USERINFO.sub(rf"\1{MASK}", text)
        if _tells(lowered):
            text = _NAMED.sub(_mask_value, text)
        return text


def _coded(value: str) -> Iterable[str]:
    """What base64 makes of `value` wherever it stands: behind 0, 1 or 2 bytes of others, without what it shares."""
    for before in range(3):
        raw = b"\0" * before + value.encode()
        shared = 0 if len(raw) % 3 == 0 else 1
        coded = b64encode(raw).rstrip(b"=").decode()
        coded = coded[0 if before == 0 else before + 1 : len(coded) - shared]
        if len(coded) >= SHORTEST:
            yield coded


def _any_in(text: str, words: Iterable[str]) -> bool:
    for word in words:  # noqa: SIM110 - any() with a generator takes three times as long
        if word in text:
            return True
    return False


def _tells(lowered: str) -> bool:
    """Whether a telling name is in the text; `tokens` are counted in many a line and are none."""
    return _any_in(lowered, _TELLING) or lowered.count("token") > lowered.count("tokens")


def _longest_first(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(values, key=lambda each: (-len(each), each)))


def _mask_value(match: re.Match[str]) -> str:
    around = match["open"] or ""
    return f"{match['name']}{around}{MASK}{around}"


redact = Redactor()
"""The daemon's own: credentials belong to the process, so there is one register of them."""
