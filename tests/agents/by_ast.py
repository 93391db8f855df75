"""What a package offers, counted a second time: with `ast` alone, knowing nothing of griffe or of our reading."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path


def public_names(root: Path, package: str) -> dict[str, list[str]]:
    """Every public class, function, method and assigned name of every public module, with its parameters' names."""
    found: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.py")):
        if path.is_symlink() or not path.is_file():
            continue
        parts = path.relative_to(root).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if any(part.startswith("_") for part in parts) or not _is_importable(path, root):
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        found |= _module(".".join((package, *parts)), tree)
    return found


def _is_importable(path: Path, root: Path) -> bool:
    """Whether each name on the way is an identifier, and no module hides a folder that has no `__init__`."""
    folders = [folder for folder in path.parents if root in folder.parents]
    hidden = any(each.with_suffix(".py").is_file() and not (each / "__init__.py").is_file() for each in folders)
    return not hidden and all(each.isidentifier() for each in (path.stem, *(folder.name for folder in folders)))


def _module(path: str, tree: ast.Module) -> dict[str, list[str]]:
    promised = _promised(tree)
    found: dict[str, list[str]] = {f"{path}.{name}": [] for name in promised or ()}
    for name, node in _defined(tree.body):
        if name in promised if promised is not None else not name.startswith("_"):
            found |= _one(f"{path}.{name}", node)
    return found


def _one(path: str, node: ast.AST) -> dict[str, list[str]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return {path: _parameters(node)}
    found: dict[str, list[str]] = {path: []}
    if isinstance(node, ast.ClassDef):
        for name, each in _defined(node.body):
            if not name.startswith("_"):
                found |= _one(f"{path}.{name}", each)
    return found


def _defined(body: Iterable[ast.stmt]) -> Iterator[tuple[str, ast.AST]]:
    """What these statements define, those under conditions included; an overload counts by what it overloads."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if not any("overload" in ast.unparse(each) for each in node.decorator_list):
                yield node.name, node
        elif isinstance(node, ast.Assign):
            yield from ((target.id, node) for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node
        elif isinstance(node, ast.If):
            yield from _defined([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from _defined([*node.body, *node.orelse, *node.finalbody])


def _promised(tree: ast.Module) -> list[str] | None:
    """The names of a literal `__all__`; None when there is none."""
    for node in tree.body:
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if value is not None and any(isinstance(each, ast.Name) and each.id == "__all__" for each in targets):
            return list(ast.literal_eval(value))
    return None


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    every += [each for each in (node.args.vararg, node.args.kwarg) if each is not None]
    is_property = any("property" in ast.unparse(each) or "setter" in ast.unparse(each) for each in node.decorator_list)
    return [] if is_property else [each.arg for each in every if each.arg not in {"self", "cls"}]
