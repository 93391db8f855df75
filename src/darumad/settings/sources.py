"""Where settings are written: a YAML file and the environment, read into one tree whose leaves know their origin.

Only the form is judged here; what a value means is for `reading`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import yaml

from darumad.errors import Problem
from darumad.values import Value

PREFIX = "DARUMA_"
_TOO_DEEP = "is nested too deeply, or within itself"
NOT_SETTINGS = frozenset({"DARUMA_CONFIG", "DARUMA_SOCKET"})
"""Variables that are the command line's own: which file to read, and which daemon to speak to."""


class Leaf(Value):
    """A value as it was written, and where: `daruma.yaml line 3` or `$DARUMA_ITEM__TIMEOUT`.

    What comes from the environment is always a string.
    """

    value: Any
    origin: str


class Branch(Value):
    """A mapping as it was written, and where: the line of its name."""

    parts: Mapping[str, "Node"]
    origin: str


Node: TypeAlias = Leaf | Branch


def empty(origin: str = "") -> Branch:
    """A branch of which nothing is said."""
    return Branch({}, origin)


def from_yaml(text: str, name: str) -> tuple[Branch, list[Problem]]:
    """The tree that `text` writes, and what is wrong with its form. `name` is what messages call the file."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        return empty(name), [Problem(name, _told(error, name))]
    except RecursionError:
        return empty(name), [Problem(name, _TOO_DEEP)]
    if root is None or (isinstance(root, yaml.ScalarNode) and root.tag == "tag:yaml.org,2002:null"):
        return empty(name), []
    if not isinstance(root, yaml.MappingNode):
        return empty(name), [Problem(name, "is no mapping of sections; see config/daruma.yaml")]
    problems: list[Problem] = []
    try:
        tree = _branch(root, name, "", name, problems)
    except RecursionError:  # an alias that holds itself, too
        return empty(name), [Problem(name, _TOO_DEEP)]
    return tree, problems


def from_environment(environ: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    """Every `DARUMA_SECTION__KEY`, as its path in lower case, in the order of their names."""
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in NOT_SETTINGS:
            yield tuple(name.removeprefix(PREFIX).lower().split("__")), Leaf(environ[name], f"${name}")


def overlaid(tree: Branch, path: tuple[str, ...], leaf: Leaf) -> Branch:
    """`tree` with `leaf` at `path`. An underscore there also means a dash, for a variable's name has none."""
    head, *rest = path
    name = next((each for each in tree.parts if each.replace("-", "_") == head), head)
    below = tree.parts.get(name)
    put: Node = leaf
    if rest:
        put = overlaid(below if isinstance(below, Branch) else empty(leaf.origin), tuple(rest), leaf)
    return Branch({**tree.parts, name: put}, tree.origin)


def _branch(node: yaml.MappingNode, name: str, path: str, origin: str, problems: list[Problem]) -> Branch:
    parts: dict[str, Node] = {}
    for key, value in node.value:
        word = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
        dotted, line = f"{path}.{word}" if path else word, f"{name} line {key.start_mark.line + 1}"
        if word in parts:
            problems.append(Problem(dotted, f"stands twice ({line}); keep one"))
        parts[word] = _joined(parts.get(word), _node(value, name, dotted, line, problems))
    return Branch(parts, origin)


def _joined(first: Node | None, second: Node) -> Node:
    """What stands twice, so that all that is wrong in both is found; of one value the second."""
    if not (isinstance(first, Branch) and isinstance(second, Branch)):
        return second
    below = {name: _joined(first.parts.get(name), each) for name, each in second.parts.items()}
    return Branch({**first.parts, **below}, second.origin)


def _node(node: yaml.Node, name: str, path: str, origin: str, problems: list[Problem]) -> Node:
    if isinstance(node, yaml.MappingNode):
        return _branch(node, name, path, origin, problems)
    try:
        return Leaf(_plain(node), origin)
    except (yaml.YAMLError, ValueError) as error:
        problems.append(Problem(path, f"cannot be read ({origin}): {error}"))
        return Leaf(None, origin)


def _plain(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    finally:
        loader.dispose()


def _told(error: yaml.YAMLError, name: str) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f" ({name} line {mark.line + 1})" if mark else ""
    return f"is no YAML{where}: {getattr(error, 'problem', None) or 'its characters cannot be read'}"
