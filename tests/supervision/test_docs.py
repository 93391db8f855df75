"""The how-to runs."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/how-to/supervise-your-own-actor.md"


def test_the_how_to_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), {})
