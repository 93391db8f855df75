"""What a template raised, for people: the exception, and the line of the template's own code it came from. Pure."""

import traceback
from pathlib import Path

LENGTH = 500
"""How much of an exception's own words is told, in characters."""
_SHIPPED = str(Path(__file__).parent / "templates")


def said_of(error: BaseException, template: str) -> str:
    """`ValueError: no such page (contents.py:17)`: the deepest line in the file `template`, or in those that ship.

    An exception that never was in either is told with the line that raised it; one that was never raised with none.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if each.filename == template or each.filename.startswith(_SHIPPED)]
    told = f"{type(error).__name__}: {str(error)[:LENGTH]}".removesuffix(": ")
    if isinstance(error, SyntaxError) or not frames:
        return told  # a syntax error names its line itself
    at = (own or frames)[-1]
    return f"{told} ({Path(at.filename).name}:{at.lineno})"
