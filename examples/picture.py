"""Turns what a terminal showed into a picture of it: `python3 examples/picture.py LOG SVG`.

The picture begins at the fourth story and ends behind the fifth: what falls, and gets up again.
"""

import io
import re
import sys
from itertools import dropwhile, takewhile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

COLUMNS = 104
_REMOTE_FONT = re.compile(r"\s*@font-face \{.*?\n    \}", re.DOTALL)
"""A picture on a page may load nothing from elsewhere; whoever looks at it has a font of their own."""
_FONTS = "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"
FIRST, BEHIND = "4. ", "What is left"


def picture(shown: str) -> str:
    """The part of `shown` that is worth a picture, as an SVG; longer lines are cut as a narrow terminal would."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    plain = (Text.from_ansi(line) for line in shown.splitlines())
    lines = takewhile(
        lambda line: not line.plain.startswith(BEHIND), dropwhile(lambda line: not line.plain.startswith(FIRST), plain)
    )
    for line in lines:
        console.print(_coloured(line), soft_wrap=False, overflow="ellipsis", no_wrap=True)
    drawn = console.export_svg(title="make demo", unique_id="demo", theme=MONOKAI)
    return _REMOTE_FONT.sub("", drawn).replace("Fira Code, monospace", _FONTS)


def _coloured(line: Text) -> Text:
    """Commands and titles stand out; the rest is as it was."""
    if line.plain.startswith("$ "):
        line.stylize("bold cyan")
    elif line.plain[1:3] == ". ":
        line.stylize("bold yellow")
    return line


if __name__ == "__main__":
    log, svg = map(Path, sys.argv[1:])
    svg.write_text(picture(log.read_text()))
