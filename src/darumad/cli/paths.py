"""Paths as a command takes them: an empty one comes of a variable that is unset, and would mean where one stands."""

import os
from pathlib import Path
from typing import Any

import click


class PathType(click.Path):
    """A `Path`; what else it must be is click's to say."""

    def __init__(self, **must: bool) -> None:
        super().__init__(path_type=Path, **must)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Click reports an empty one."""
        if not os.fspath(value):
            optional = "" if param is None or param.required else ", or leave the option out"
            self.fail(f"it is empty; name a path{optional}", param, ctx)
        return super().convert(value, param, ctx)
