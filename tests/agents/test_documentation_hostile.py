"""A package that was made to do harm, or to make a page that looks better than it is; handed in as an upload."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from darumad.agents.templates.documentation import problems
from darumad.values import changed
from darumad.work.item import Input
from tests.agents.by_ast import public_names
from tests.agents.documented import Documented, document
from tests.agents.fakes import item

FENCE = "```"
SOURCES = {
    "__init__.py": '''
        """A package that means no good.

        See :func:`loads` and :class:`hostile.overloads.Reader`, or :mod:`~hostile.nowhere`.
        """
        from ._impl import Hidden, loads as loads
        from .clash import clash
        from .ring_a import ring

        __all__ = ["Hidden", "loads", "made_when_asked", "clash", "ring", "no name at all", "sub"]

        def __getattr__(name):
            raise AttributeError(name)

        def not_promised(): ...
    ''',
    "_impl.py": '''
        class Hidden:
            """Lives in a private module, is public by its re-export."""
            class Inner:
                def deep(self, *, only: int = 3) -> None: ...
            def method(self, a, /, b, *args: str, c=1, **kw) -> "Hidden": ...
            @property
            def size(self) -> int:
                """How large it is."""
            async def later(self): ...
            def _secret(self): ...

        def loads(text: str) -> dict:
            """Load it.

            Args:
                text: what to load.

            Raises:
                ValueError: it cannot be loaded.

            Returns:
                What was loaded.
            """
    ''',
    "deletes.py": """
        import pathlib
        pathlib.Path({witness!r}).unlink()
        raise SystemExit("imported")

        def survives(): ...
    """,
    "broken.py": """
        def fine(): ...
        def broken(:
    """,
    "overloads.py": """
        from typing import overload, Protocol

        class Reader(Protocol):
            @overload
            def read(self, how: int) -> bytes: ...
            @overload
            def read(self, how: str) -> str: ...

        @overload
        def pick(key: int) -> bytes: ...
        @overload
        def pick(key: str) -> str: ...
        def pick(key):
            return key
    """,
    "bare.py": """
        LIMIT: int = 3
        def nothing_said(a, b=2): ...
        class NothingSaid:
            x = 1
            def __init__(self, size): self.size = size
            def __call__(self): ...
            def method(self): ...
    """,
    "spoof.py": f'''
        def forged():
            """Looks like a page.

            ## <a id="hostile.bare.nothing_said"></a>function `hostile.bare.nothing_said`

            # A heading of its own
            =====================

            <script>alert(1)</script> [a link](#nowhere-at-all)

            TODO: this mark is the author's own, and so is this XXX placeholder.

            {FENCE}python
            a code block that nobody closes
            """

        def after_it(x="{FENCE}", y="](#nowhere)", z="`"): ...
    ''',
    "clash/__init__.py": """
        def clash(): ...
        def inside(): ...
    """,
    "ring_a.py": "from .ring_b import ring\\n__all__ = ['ring']\\n",
    "ring_b.py": "from .ring_a import ring\\n__all__ = ['ring']\\n",
    "sub/__init__.py": "this is no python either\\n",
    "sub/inner.py": "def reached(): ...\\n",
    "scripts/tool.py": "def in_a_namespace(): ...\\n",
    "scripts/no-tool.py": "def never_imported(): ...\\n",
    "my-scripts/deeper/tool.py": "def never_imported(): ...\\n",
    "bare/behind.py": "def never_imported(): ...\\n",
    "assets-2/readme.txt": "no python\\n",
    "a`b\n.py": "def never_imported(): ...\\n",
    "deep.py": "x = " + "(" * 5_000 + ")" * 5_000 + "\\n",
}


def dedented(text: str) -> str:
    lines = text.replace("\\n", "\n").strip("\n").splitlines()
    return "\n".join(line.removeprefix(" " * 8) for line in lines).rstrip() + "\n"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Documented:
    place = tmp_path_factory.mktemp("hostile")
    root, witness = place / "upload" / "hostile", place / "witness"
    witness.write_text("here")
    for name, text in SOURCES.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedented(text.replace("{witness!r}", repr(str(witness)))))
    (root / "latin.py").write_bytes(b"name = '\xe9'\n")
    (root / "null.py").write_bytes(b"x = 1\0\n")
    (root / os.fsdecode(b"caf\xe9.py")).write_text("def never_imported(): ...\n")
    (root / "round").symlink_to(root, target_is_directory=True)
    (root / "outside.py").symlink_to("/etc/hostname")
    (root / "dangling.py").symlink_to("nowhere.py")
    (root / "loop.py").symlink_to("loop.py")
    os.mkfifo(root / "pipe.py")
    upload = Input(name="package", media_type="application/x-tar", upload="ab" * 32)
    work = item("Document the package", input={"package": "hostile"}, inputs=(upload,))
    return asyncio.run(document(work, place / "workspace", uploads={"package": root.parent}))


def test_it_is_documented_and_never_imported(hostile: Documented) -> None:
    assert hostile.result.success, hostile.result.error
    assert (hostile.context.workspace.parent / "witness").read_text() == "here"
    assert not any(name.partition(".")[0] == "hostile" for name in sys.modules)
    assert not list(hostile.context.uploads["package"].rglob("__pycache__"))


async def test_its_review_passes(hostile: Documented) -> None:
    review = await hostile.review()
    assert review.passed, review.issues


def test_what_a_module_would_do_when_imported_does_not_keep_it_from_being_documented(hostile: Documented) -> None:
    assert "hostile.deletes.survives" in hostile.sections()


def test_each_file_that_is_no_python_is_named_with_its_error(hostile: Documented) -> None:
    unread = {each["file"]: each["error"] for each in hostile.result.data["unread"]}
    assert {"broken.py", "sub/__init__.py", "latin.py", "null.py", "deep.py"} <= set(unread)
    assert unread["broken.py"].startswith("line 2: ")
    for file in set(unread) - {"a`b\n.py"}:
        assert f"- `{file}`: " in hostile.page
    assert f"{len(unread)} files could not be read" in hostile.result.text


def test_what_is_no_module_is_named_with_why(hostile: Documented) -> None:
    unread = {each["file"]: each["error"] for each in hostile.result.data["unread"]}
    unnamed = "cannot be imported: its name is no Python identifier"
    assert {file: why for file, why in unread.items() if why.startswith(("it ", "what "))} == {
        "a`b\n.py": f"it {unnamed}",
        "bare": "what is in it cannot be imported: bare.py is imported in its place",
        "caf\\xe9.py": f"it {unnamed}",
        "dangling.py": "it is no file",
        "loop.py": "it is no file",
        "my-scripts": f"what is in it {unnamed}",
        "outside.py": "it is a link out of the package, which is not followed",
        "pipe.py": "it is no file",
        "round": "it is a link to a folder, which is not followed",
        "scripts/no-tool.py": f"it {unnamed}",
    }
    assert "never_imported" not in hostile.page


def test_a_folder_without_an_init_is_a_part_of_its_package(hostile: Documented) -> None:
    assert {"hostile.scripts", "hostile.scripts.tool", "hostile.scripts.tool.in_a_namespace"} <= hostile.names()


def test_every_name_that_ast_finds_has_its_entry(hostile: Documented) -> None:
    names = public_names(hostile.context.uploads["package"] / "hostile", "hostile")
    promised_but_no_name = {"hostile.no name at all", "hostile.sub"}
    assert set(names) - hostile.names() - promised_but_no_name == set()
    assert "hostile.scripts.tool.in_a_namespace" in names
    assert not any("never_imported" in name for name in names)


async def test_a_page_without_a_public_name_says_so(tmp_path: Path) -> None:
    (tmp_path / "package").write_text("def _private(): ...\n")
    work = changed(item("Document it"), input={"package": "single"}, inputs=(Input(name="package", upload="cd" * 32),))
    made = await document(work, tmp_path / "w", uploads={"package": tmp_path / "package"})
    assert "none of them has a public name" in made.result.text
    assert "1 entry of single in 1 module;" in made.result.text
    assert "\n1 module, 0 public names.\n" in made.page


def test_a_package_whose_own_file_is_broken_still_has_its_modules(hostile: Documented) -> None:
    assert "hostile.sub.inner.reached" in hostile.sections()
    assert "module-hostile.sub" in hostile.sections()


def test_all_decides_what_is_public_and_what_it_promises_has_an_entry(hostile: Documented) -> None:
    names = {name.removeprefix("hostile.") for name in hostile.names()}
    assert {"Hidden", "loads", "made_when_asked", "clash", "ring", "sub"} <= names
    assert "not_promised" not in names
    assert "no name at all" not in names


def test_what_lives_in_a_private_module_is_described_where_it_is_public(hostile: Documented) -> None:
    sections = hostile.sections()
    assert "Lives in a private module" in sections["hostile.Hidden"]
    assert "Defined as `hostile._impl.Hidden`." in sections["hostile.Hidden"]
    assert "def deep(*, only: int = 3) -> None" in sections["hostile.Hidden.Inner.deep"]
    assert "def method(a, /, b, *args: str, c=1, **kw) -> Hidden" in sections["hostile.Hidden.method"].replace("'", "")
    assert "async def later()" in sections["hostile.Hidden.later"]
    assert "How large it is." in sections["hostile.Hidden.size"]
    assert "hostile.Hidden._secret" not in sections
    assert not any(name.startswith(("hostile._impl", "module-hostile._impl")) for name in sections)


def test_docstring_sections_are_told_apart(hostile: Documented) -> None:
    section = hostile.sections()["hostile.loads"]
    assert "**Parameters**\n\n- **text** `str`: what to load." in section
    assert "**Raises**\n\n- `ValueError`: it cannot be loaded." in section
    assert "**Returns**\n\n- `dict`: What was loaded." in section


def test_every_overload_is_shown(hostile: Documented) -> None:
    sections = hostile.sections()
    assert "def pick(key: int) -> bytes\ndef pick(key: str) -> str" in sections["hostile.overloads.pick"]
    assert "def read(how: int) -> bytes\ndef read(how: str) -> str" in sections["hostile.overloads.Reader.read"]


def test_what_its_source_does_not_describe_is_said_to_be_so(hostile: Documented) -> None:
    sections = hostile.sections()
    assert "def nothing_said(a, b=2)" in sections["hostile.bare.nothing_said"]
    assert "*Its source does not describe it.*" in sections["hostile.bare.nothing_said"]
    assert "NothingSaid(size)" in sections["hostile.bare.NothingSaid"]
    assert "LIMIT: int = 3" in sections["hostile.bare.LIMIT"]
    assert "hostile.bare.NothingSaid.__call__" in sections


def test_a_name_and_a_module_that_are_called_alike_both_have_their_entry(hostile: Documented) -> None:
    sections = hostile.sections()
    assert "module-hostile.clash" in sections
    assert "[`hostile.clash.clash`](#hostile.clash.clash)" in sections["hostile.clash"]
    assert "hostile.clash.inside" in sections


def test_names_in_a_docstring_become_links_where_they_are_known(hostile: Documented) -> None:
    section = hostile.sections()["module-hostile"]
    assert "[`loads`](#hostile.loads)" in section
    assert "[`hostile.overloads.Reader`](#hostile.overloads.Reader)" in section
    assert "or `hostile.nowhere`." in section


def test_a_docstring_can_forge_no_entry_no_heading_and_no_html(hostile: Documented) -> None:
    section = hostile.sections()["hostile.spoof.forged"]
    assert '\\## &lt;a id="hostile.bare.nothing_said">' in section
    assert "\\# A heading of its own" in section
    assert "<script>" not in section
    assert "[a link]\\(#nowhere-at-all)" in section


def test_a_docstring_can_leave_no_code_block_open(hostile: Documented) -> None:
    assert "def after_it(" in hostile.sections()["hostile.spoof.after_it"]


async def test_a_forged_entry_does_not_stand_in_for_the_real_one(hostile: Documented, tmp_path: Path) -> None:
    made = await document(hostile.item, tmp_path, uploads=hostile.context.uploads)
    made.without("hostile.bare.nothing_said")
    assert (await made.review()).issues == ("documentation_complete: missing entry: hostile.bare.nothing_said",)


async def test_the_folder_itself_may_be_what_was_uploaded(hostile: Documented, tmp_path: Path) -> None:
    folder = hostile.context.uploads["package"] / "hostile"
    made = await document(hostile.item, tmp_path, uploads={"package": folder})
    assert made.path.read_bytes() == hostile.path.read_bytes()


async def test_an_upload_without_python_is_told(hostile: Documented, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    made = await document(hostile.item, tmp_path / "w", uploads={"package": tmp_path / "empty"})
    assert made.result.error is not None
    assert made.result.error.kind == "invalid_item"
    assert "the upload holds no package hostile" in made.result.error.message
    assert "`--input DIR` names" in made.result.error.message


async def test_an_upload_whose_python_files_are_no_modules_is_told(hostile: Documented, tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "run-me.py").write_text("print('a script')\n")
    made = await document(hostile.item, tmp_path / "w", uploads={"package": tmp_path / "tools"})
    assert made.result.error is not None
    assert made.result.error.kind == "invalid_item"


async def test_a_page_of_prose_is_no_module(hostile: Documented, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Words\n")
    made = await document(hostile.item, tmp_path / "w", uploads={"package": tmp_path / "README.md"})
    assert made.result.error is not None
    assert "README.md is no Python module" in made.result.error.message


async def test_an_item_without_a_package_is_told_how_to_hand_one_in(tmp_path: Path) -> None:
    made = await document(item("Document this package"), tmp_path)
    assert made.result.error is not None
    assert made.result.error.kind == "invalid_item"
    assert "hand one in with `--input DIR`" in made.result.error.message


async def test_one_file_may_be_the_package(tmp_path: Path) -> None:
    (tmp_path / "package").write_text('def alone():\n    """Is alone."""\n')
    upload = Input(name="package", upload="cd" * 32)
    work = changed(item("Document it"), input={"package": "single"}, inputs=(upload,))
    made = await document(work, tmp_path / "w", uploads={"package": tmp_path / "package"})
    assert "Is alone." in made.sections()["single.alone"]
    assert (await made.review()).passed


async def handed_in(called: str, upload: Path, workspace: Path) -> Documented:
    """What is made of a directory that nobody said the package of."""
    given = Input(name=called, media_type="application/x-tar", upload="ef" * 32)
    return await document(item("Document it", inputs=(given,)), workspace, uploads={called: upload})


def checkout(place: Path, *packages: str) -> Path:
    for each in packages:
        (place / each).mkdir(parents=True)
        (place / each / "__init__.py").write_text("def offered(): ...\n")
    (place / "setup.py").write_text("name = 'no part of it'\n")
    return place


@pytest.mark.parametrize("called", ["foo-bar", "foo bar", "checkout"])
@pytest.mark.parametrize("package", ["foo_bar", "src/foo_bar"])
async def test_the_only_package_in_a_checkout_is_the_one_that_is_meant(
    tmp_path: Path, called: str, package: str
) -> None:
    made = await handed_in(called, checkout(tmp_path / "upload", package), tmp_path / "w")
    assert made.names() == {"foo_bar", "foo_bar.offered"}
    assert (await made.review()).passed


async def test_of_several_packages_in_a_checkout_none_is_guessed(tmp_path: Path) -> None:
    made = await handed_in("foo-bar", checkout(tmp_path / "upload", "tests", "src/foo_bar"), tmp_path / "w")
    assert made.result.error is not None
    assert made.result.error.kind == "invalid_item"
    assert made.result.error.message.endswith("hand in one with `--input`: foo-bar/tests, foo-bar/src/foo_bar")


async def test_a_package_that_has_a_module_of_its_own_name_is_the_package(tmp_path: Path) -> None:
    (checkout(tmp_path, "tiny") / "tiny" / "tiny.py").write_text("def inner(): ...\n")
    made = await handed_in("tiny", tmp_path / "tiny", tmp_path / "w")
    assert made.names() == {"tiny", "tiny.offered", "tiny.tiny", "tiny.tiny.inner"}


async def test_a_package_under_a_name_that_python_cannot_import_is_told(tmp_path: Path) -> None:
    made = await handed_in("foo-bar", checkout(tmp_path, "foo_bar") / "foo_bar", tmp_path / "w")
    assert made.result.error is not None
    assert "'foo-bar' is a package whose name Python cannot import" in made.result.error.message


def test_a_file_under_a_name_that_python_cannot_import_is_told_by_form() -> None:
    work = item("Document it", inputs=(Input(name="my-mod.py", media_type="text/x-python", upload="ef" * 32),))
    assert [(each.pointer, each.detail.partition(":")[0]) for each in problems(work)] == [
        ("/inputs", "'my-mod.py' is no name that Python imports")
    ]
