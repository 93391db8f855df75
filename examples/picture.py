"""Turns what a terminal showed into a picture of it: `python examples/picture.py LOG SVG`."""

import io
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS, LINES = 132, 46


def picture(shown: str) -> str:
    """The first screen of `shown`, as an SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for line in shown.splitlines()[:LINES]:
        text = Text.from_ansi(line)
        if line.startswith("$ "):
            text.stylize("bold cyan")
        console.print(text, soft_wrap=False, overflow="ellipsis", no_wrap=True)
    return console.export_svg(title="make demo", unique_id="demo")


if __name__ == "__main__":
    log, svg = map(Path, sys.argv[1:])
    svg.write_text(picture(log.read_text()))
