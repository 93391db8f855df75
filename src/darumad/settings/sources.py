"""Where settings are written: a YAML file and the environment, read into one tree whose leaves know their origin.

Only the form is judged here; what a value means is for `reading`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from typing import Any, TypeAlias

import yaml

from darumad.errors import Problem
from darumad.values import Value, field

PREFIX = "DARUMA_"
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
_Entry: TypeAlias = tuple[yaml.Node, yaml.Node]


def empty(origin: str = "") -> Branch:
    """A branch of which nothing is said."""
    return Branch({}, origin)


class Written(Value):
    """What a file says, and what is wrong with its form; `legible` is false where nothing of it could be read."""

    tree: Branch
    problems: Sequence[Problem] = ()
    twice: Sequence[Problem] = ()
    legible: bool = True


def from_yaml(text: str, name: str) -> Sequence[Written]:
    """What `text` writes; where something stands twice, as it is with the first, then as it is with the second.

    The last counts; those before it are there to be judged. `name` is what messages call the file.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None or (isinstance(root, yaml.ScalarNode) and root.tag == "tag:yaml.org,2002:null"):
            return [Written(empty(name))]
        if isinstance(root, yaml.MappingNode):
            return list(_turns(root, name))
    except yaml.YAMLError as error:
        return [illegible(name, _told(error, name))]
    except RecursionError:  # an alias that holds itself, too
        return [illegible(name, "is nested too deeply, or within itself")]
    return [illegible(name, "is no mapping of sections; see config/daruma.yaml")]


def illegible(name: str, why: str) -> Written:
    """A file of which nothing is known."""
    return Written(empty(name), [Problem(name, why)], legible=False)


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


def _turns(root: yaml.MappingNode, name: str) -> Iterator[Written]:
    for number in count():
        turn = _Turn(name)
        yield Written(turn.branch(root.value, "", name, number), turn.problems, turn.twice)
        if not turn.behind:
            return


class _Turn(Value):
    """One pass over a file. `behind` are the places where more stands than it took."""

    name: str
    problems: list[Problem] = field(default_factory=list)
    twice: list[Problem] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)

    def branch(self, entries: Iterable[_Entry], path: str, origin: str, number: int) -> Branch:
        """The mapping that has these entries; of what stands more than once the `number`th, from 0, or the last.

        Sections of one name are one, which comes behind all values of that name.
        """
        copies: dict[str, list[_Entry]] = {}
        for key, value in entries:
            word = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            if word in copies:
                self.twice.append(Problem(_below(path, word), f"stands twice ({self._line(key)}); keep one"))
            copies.setdefault(word, []).append((key, value))
        return Branch({word: self._node(each, _below(path, word), number) for word, each in copies.items()}, origin)

    def _node(self, copies: Sequence[_Entry], path: str, number: int) -> Node:
        sections = [(key, each.value) for key, each in copies if isinstance(each, yaml.MappingNode)]
        values = [each for each in copies if not isinstance(each[1], yaml.MappingNode)]
        if sections and number >= len(values):
            entries = chain.from_iterable(below for _, below in sections)
            return self.branch(entries, path, self._line(sections[-1][0]), number - len(values))
        if sections or number < len(values) - 1:
            self.behind.append(path)
        key, value = values[min(number, len(values) - 1)]
        return self._leaf(value, path, self._line(key))

    def _leaf(self, node: yaml.Node, path: str, origin: str) -> Leaf:
        try:
            return Leaf(_plain(node), origin)
        except (yaml.YAMLError, ValueError) as error:
            self.problems.append(Problem(path, f"cannot be read ({origin}): {error}"))
            return Leaf(None, origin)

    def _line(self, key: yaml.Node) -> str:
        return f"{self.name} line {key.start_mark.line + 1}"


def _below(path: str, word: str) -> str:
    return f"{path}.{word}" if path else word


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
