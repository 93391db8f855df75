"""Regular expressions, searched for in what strangers send: in time that grows with the text, or given up.

Python's own may go back and forth in a short text for years, and every listener would wait.
"""

from functools import lru_cache

import jsonschema_rs

_BACKTRACKS = 100_000
"""So often one goes back in one text at most: milliseconds. Few go back at all."""


def is_in(pattern: str, text: str) -> bool:
    """Whether `pattern` is found in `text`; not where it would have to go back too often."""
    return _searching(pattern).is_valid(text)


def check(pattern: str) -> None:
    """Pass a regular expression that can be searched for.

    Raises:
        ValueError: it is none, or not one of JSON Schema's.
    """
    _searching(pattern)


@lru_cache(256)
def _searching(pattern: str) -> jsonschema_rs.Validator:
    try:
        options = jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACKS)
        return jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=options)
    except jsonschema_rs.ValidationError as error:
        raise ValueError(str(error).splitlines()[0]) from error
