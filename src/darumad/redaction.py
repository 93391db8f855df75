"""Redaction: secrets are taken out of text that is about to leave. Pure, but for the register of known credentials.

Three nets, from the surest to the widest: the exact values of every credential that was loaded, the known shapes of
keys, and the values that stand behind a telling name. A quick look for tell-tale words spares most lines the last two.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote

MASK = "[redacted]"
"""What stands in the place of a secret."""
SHORTEST = 6
"""A credential of fewer characters is not looked for: it would be found in ordinary words."""

_ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})

_SHAPES = re.compile(
    r"""
    \b(?:sk|pk|rk)-[A-Za-z0-9][A-Za-z0-9_-]{14,}      # Anthropic, OpenAI and their kin
  | \bgh[opsur]_[A-Za-z0-9]{20,} | \bgithub_pat_\w{20,}
  | \bglpat-[\w-]{16,} | \bhf_[A-Za-z0-9]{16,} | \bxox[abeoprs]-[\w-]{10,}
  | \bA(?:KIA|SIA)[A-Z0-9]{16}\b | \bAIza[\w-]{30,}
  | \beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*                 # a JSON web token
  | -----BEGIN[ A-Z]*PRIVATE\ KEY-----.*?(?:-----END[ A-Z]*PRIVATE\ KEY-----|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_BEARER = re.compile(r"\b(bearer|basic)(\s+)[\w.~+/=-]{6,}", re.IGNORECASE)
_USERINFO = re.compile(r"(://[^\s/:@\"]*:)[^\s/@\"]+(?=@)")
_NAMED = re.compile(
    r"""
    (?P<name> (?<![A-Za-z]) (?:[A-Za-z0-9]+[_-])*                    # x-api-key, db_password
        (?:authorization|api[_-]?key|passw(?:or)?d|token|secret|(?:set-)?cookie)
        (?P<quote>\\*["']?) \s*[:=]\s* )                              # "token": , token=
    (?: (?P<open>\\*["']) (?P<quoted>(?:\\.|(?!(?P=open))[^\\])*) (?P=open)
      | (?!null\b|true\b|false\b|None\b|True\b|False\b|\[redacted\]) (?P<bare>[^\s"',;&}\])\\]+) )
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_TELLING = ("authoriz", "api_key", "api-key", "apikey", "passw", "secret", "cookie",
            'token"', "token=", "token:", "token'", "token\\", "token ")  # fmt: skip
_SHAPED = ("k-", "gh", "glpat-", "hf_", "xox", "akia", "asia", "aiza", "eyj", "private key")
_SCHEMES = ("bearer", "basic ")


class Redactor:
    """Takes secrets out of text; learns the exact ones by `conceal`. Both may be called from any thread."""

    __slots__ = ("_exact",)

    def __init__(self) -> None:
        self._exact: tuple[str, ...] = ()

    def conceal(self, value: str) -> None:
        """Look for `value` from now on, as it stands, as JSON writes it and as a URL does."""
        value = value.strip()
        if len(value) >= SHORTEST:
            self._exact = _longest_first({*self._exact, value, value.translate(_ESCAPES), quote(value, safe="")})

    def __call__(self, text: str) -> str:
        """`text` without what is secret in it; the same object when there is nothing."""
        for value in self._exact:
            if value in text:
                text = text.replace(value, MASK)
        lowered = text.lower()
        if _any_in(lowered, _SHAPED):
            text = _SHAPES.sub(MASK, text)
        if _any_in(lowered, _SCHEMES):
            text = _BEARER.sub(rf"\1\2{MASK}", text)
        if "@" in lowered and "://" in lowered:
            text = _USERINFO.sub(rf"\1{MASK}", text)
        if _any_in(lowered, _TELLING):
            text = _NAMED.sub(_mask_value, text)
        return text


def _any_in(text: str, words: Iterable[str]) -> bool:
    return any(word in text for word in words)


def _longest_first(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(values, key=lambda each: (-len(each), each)))


def _mask_value(match: re.Match[str]) -> str:
    around = match["open"] or ""
    return f"{match['name']}{around}{MASK}{around}"


redact = Redactor()
"""The daemon's own: credentials belong to the process, so there is one register of them."""
