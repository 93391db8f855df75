"""Points at which the daemon can be made to fail, without a trace of them in the daemon's source.

While they are installed, modules of the house are compiled with a call before and behind every line that posts a
message or commits: the list is made from the source, so that a new line has its points without anybody's doing. Only
`crash.nursery` installs them; a daemon that was started in any other way knows nothing of it.
"""

import ast
import builtins
import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Literal

Deed = Literal["kill", "raise"]
"""What happens at a point: the process dies, or an exception is raised where it stands."""

POSTS = frozenset({
    "_finished", "_post", "_tell", "begin", "call_soon_threadsafe", "commit", "finished", "hint", "note",
    "orchestrator", "post", "publish", "put", "reply", "revoke", "send_work", "spawn", "tell", "told",
})  # fmt: skip
"""What a call that posts a message, hands over or commits is named in the house."""
WATCHED = (
    "darumad.journal.boot", "darumad.journal.commits", "darumad.journal.publisher", "darumad.journal.writer",
    "darumad.actors.orchestrator", "darumad.actors.role", "darumad.actors.listener",
    "darumad.bridge.cancels", "darumad.bridge.half", "darumad.bridge.ledger", "darumad.bridge.loop",
    "darumad.bridge.steps", "darumad.bridge.task", "darumad.bridge.whole", "darumad.control.on_cancel",
    "darumad.control.on_many", "darumad.control.on_operating", "darumad.control.on_submit", "darumad.daemon.assembly",
    "darumad.daemon.engine", "darumad.daemon.front",
)  # fmt: skip
"""The modules through which an item passes."""
_REACHED = "__reached__"


@dataclass(frozen=True, slots=True)
class Order:
    """Fail at the `nth` time that `point` is reached. What was reached is written to `told`, a descriptor."""

    point: str
    nth: int
    deed: Deed
    told: int


class _Points(ast.NodeTransformer):
    """Puts a call before and behind each statement that posts; `names` are the points, in order."""

    def __init__(self, module: str) -> None:
        self._path = [module.removeprefix("darumad.")]
        self._seen: dict[str, int] = {}
        self.names: list[str] = []

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self._path.append(node.name)
            self._within(node)
            self._path.pop()
        else:
            self._within(node)
        return node

    def _within(self, node: ast.AST) -> None:
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                setattr(node, field, [new for each in block for new in self._around(each)])

    def _around(self, node: ast.AST) -> Iterator[ast.AST]:
        self.visit(node)
        if len(self._path) == 1 or not _posts(node):
            yield node
            return
        where = ".".join(self._path)
        self._seen[where] = number = self._seen.get(where, 0) + 1
        yield self._point(f"{where} {number} before", node)
        yield node
        if not isinstance(node, ast.Return):
            yield self._point(f"{where} {number} behind", node)

    def _point(self, name: str, node: ast.AST) -> ast.stmt:
        self.names.append(name)
        call = ast.Call(ast.Name(_REACHED, ast.Load()), [ast.Constant(name)], [])
        return ast.fix_missing_locations(ast.copy_location(ast.Expr(call), node))


def _posts(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        node = node.test
    elif not isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign | ast.Return):
        return False
    calls = (each.func for each in ast.walk(node) if isinstance(each, ast.Call))
    return any((call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "")) in POSTS for call in calls)


def points() -> list[str]:
    """The name of every point, from the source."""
    names = []
    for module in WATCHED:
        spec = importlib.util.find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        walk = _Points(module)
        walk.visit(ast.parse(Path(spec.origin).read_text()))
        names += walk.names
    return names


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:  # type: ignore[override] # no cached bytecode: it has no points
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path), path)
        _Points(fullname).visit(tree)
        return compile(tree, path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in WATCHED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin)
        return spec


def install() -> None:
    """From here on the watched modules are imported with their points, which do nothing yet."""
    setattr(builtins, _REACHED, lambda _: None)
    sys.meta_path.insert(0, _Finder())


def arm(order: Order) -> None:
    """Have this process fail as ordered."""
    times = 0

    def reached(name: str) -> None:
        nonlocal times
        if name != order.point:
            return
        times += 1
        if times == order.nth:
            os.write(order.told, f"{name}\n".encode())
            if order.deed == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError(f"made to fail at {name}")

    setattr(builtins, _REACHED, reached)
