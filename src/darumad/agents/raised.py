"""What a template raised, for people: the exception, and the line of the template's own code it came from.

Nothing secret leaves here, for whoever raises says what was at hand: a URL, a header, a command line.
"""

import traceback
from collections.abc import Sequence
from pathlib import Path

from darumad.redaction import redact

LENGTH = 500
"""How much of an exception's own words is told, in characters."""
_READ = 4
"""How many times the text that is told is read at most: what may be said has no end, and is looked at on the loop."""
_SHIPPED = str(Path(__file__).parent / "templates")


def said_of(error: BaseException, template: str) -> str:
    """`ValueError: no such page (contents.py:17)`: the deepest line in the file `template`, or in those that ship.

    An exception that never was in either is told with the line that raised it; one that was never raised with none.
    """
    frames = traceback.extract_tb(error.__traceback__)
    told = words_of(error)
    if isinstance(error, SyntaxError) or not frames:
        return told  # a syntax error names its line itself
    return f"{told} ({line_of(frames, template)})"


def line_of(frames: Sequence[traceback.FrameSummary], template: str) -> str:
    """`contents.py:17`: the deepest of these `frames`, at least one, in the file `template` or in those that ship."""
    own = [each for each in frames if each.filename == template or each.filename.startswith(_SHIPPED)]
    at = (own or frames)[-1]
    return f"{Path(at.filename).name}:{at.lineno}"


def words_of(error: BaseException) -> str:
    """`ValueError: no such page`: what `error` says itself, whatever its `__str__` does."""
    try:
        said = str(error)
    except BaseException as unsaid:  # noqa: BLE001 - it is a template's own code, and no more to be trusted than the rest
        said = f"its own words cannot be told ({type(unsaid).__name__})"
    return fitted(f"{type(error).__name__}: {said[: _READ * LENGTH]}".removesuffix(": "), LENGTH)


def fitted(text: str, length: int = LENGTH + 200) -> str:
    """At most `length` characters of `text`, and no secret; half a surrogate pair, which no file takes, becomes a `?`.

    The cut comes last: half a key would be known by nobody.
    """
    return redact(text[: _READ * length])[:length].encode("utf-8", "replace").decode()
