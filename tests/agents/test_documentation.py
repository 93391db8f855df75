"""Five packages of other people, installed beside us, documented by the shipped template without a model."""

import asyncio
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from darumad.values import changed
from darumad.work.gates import Gate, Verdict
from darumad.work.model import ModelReply
from darumad.work.result import StopReason
from tests.agents.by_ast import public_names
from tests.agents.documented import Documented, document, installed
from tests.agents.fakes import Scripted, Steps

PACKAGES = ("click", "structlog", "tenacity", "pykka", "starlette")
SITE = Path(sysconfig.get_path("purelib"))


@pytest.fixture(scope="module", params=PACKAGES)
def documented(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Documented:
    workspace = tmp_path_factory.mktemp(request.param)
    return asyncio.run(document(installed(request.param), workspace))


def package_of(documented: Documented) -> str:
    return str(documented.item.input["package"])


def test_it_completes_without_a_model_and_says_so(documented: Documented) -> None:
    result = documented.result
    assert result.success, result.error
    assert (result.model, result.template) == ("offline", "documentation@1.0.0")
    assert [(each.name, each.media_type) for each in result.artifacts] == [("reference.md", "text/markdown")]
    assert result.artifacts[0].size == len(documented.path.read_bytes())
    assert result.data["unread"] == []


def test_every_public_name_that_ast_finds_has_its_entry(documented: Documented) -> None:
    package = package_of(documented)
    names = public_names(SITE / package, package)
    assert len(names) >= 30
    assert sorted(set(names) - documented.names()) == []


def test_every_parameter_that_ast_finds_is_in_its_entry(documented: Documented) -> None:
    package = package_of(documented)
    sections = documented.sections()
    missing = [
        f"{name}({parameter})"
        for name, parameters in public_names(SITE / package, package).items()
        for parameter in parameters
        if name in sections and "](#" not in sections[name].splitlines()[0] and parameter not in sections[name]
    ]
    assert missing == []


def test_nothing_private_has_an_entry_unless_all_promises_it(documented: Documented) -> None:
    package = package_of(documented)
    promised = public_names(SITE / package, package)
    private = [
        name
        for name in documented.sections()
        for last in [name.rpartition(".")[2]]
        if last.startswith("_") and not (last.startswith("__") and last.endswith("__")) and name not in promised
    ]
    assert private == []


async def test_its_review_passes_every_gate_it_requires(documented: Documented) -> None:
    review = await documented.review()
    assert review.passed, review.issues
    assert {gate: found.verdict for gate, found in review.gates.items()} == {
        Gate.DOCUMENTATION_COMPLETE: Verdict.PASS,
        Gate.COMPLETENESS: Verdict.PASS,
        Gate.NO_ANTIPATTERNS: Verdict.PASS,
    }


def test_reading_imports_none_of_them() -> None:
    code = """
import sys
from darumad.agents.templates.documentation.finding import find_installed
from darumad.agents.templates.documentation.reading import read_package
before = set(sys.modules)
for name in sys.argv[1:]:
    read_package(name, find_installed(name, sys.path))
print(sorted(each for each in set(sys.modules) - before if each.partition(".")[0] in sys.argv[1:]))
"""
    ran = subprocess.run([sys.executable, "-I", "-c", code, *PACKAGES], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


# --- one package is enough ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Documented:
    return asyncio.run(document(installed("pykka"), tmp_path_factory.mktemp("once")))


@pytest.fixture
def pykka(once: Documented, tmp_path: Path) -> Documented:
    """A page of the test's own to spoil."""
    shutil.copytree(once.context.workspace, tmp_path, dirs_exist_ok=True)
    return replace(once, context=changed(once.context, place=tmp_path))


async def test_the_same_package_gives_the_same_bytes(pykka: Documented, tmp_path: Path) -> None:
    again = await document(installed("pykka"), tmp_path / "again")
    assert again.path.read_bytes() == pykka.path.read_bytes()


async def test_an_entry_removed_after_the_work_is_found_by_name_and_the_repair_passes(pykka: Documented) -> None:
    pykka.without("pykka.get_all")
    review = await pykka.review()
    assert not review.passed
    assert review.finding(Gate.DOCUMENTATION_COMPLETE).issues == (
        "documentation_complete: missing entry: pykka.get_all",
    )
    feedback = ({"issues": list(review.issues)},)
    repaired = await document(pykka.item, pykka.context.workspace, feedback=feedback)
    assert (await repaired.review()).passed


async def test_an_entry_without_its_signature_is_found(pykka: Documented) -> None:
    section = pykka.sections()["pykka.get_all"]
    pykka.path.write_text(pykka.page.replace(section, section.splitlines()[0] + "\n"), "utf-8")
    assert "documentation_complete: entry without its signature: pykka.get_all" in (await pykka.review()).issues


async def test_a_link_that_leads_nowhere_is_found(pykka: Documented) -> None:
    pykka.path.write_text(pykka.page + "\nSee [`x`](#pykka.nowhere).\n", "utf-8")
    assert "completeness: link leads nowhere: pykka.nowhere" in (await pykka.review()).issues


async def test_a_mark_of_unfinished_work_of_our_own_is_found(pykka: Documented) -> None:
    pykka.path.write_text(pykka.page + "\nTODO: describe this\n", "utf-8")
    review = await pykka.review()
    assert [each.partition(" line")[0] for each in review.issues] == ["no_antipatterns: unfinished: reference.md"]


async def test_a_page_that_is_gone_misses_everything(pykka: Documented) -> None:
    pykka.path.unlink()
    review = await pykka.review()
    found = review.finding(Gate.DOCUMENTATION_COMPLETE).issues
    assert "documentation_complete: missing entry: module pykka" in found
    assert found[-1].endswith("more")


async def test_a_replay_reads_nothing_again_unless_the_page_is_lost(pykka: Documented) -> None:
    steps = pykka.context.steps
    assert isinstance(steps, Steps)
    resumed = Steps(steps.done[:1])
    again = await document(pykka.item, pykka.context.workspace, steps=resumed)
    assert (again.result, resumed.live) == (pykka.result, ["write"])
    pykka.path.unlink()
    rewritten = await document(pykka.item, pykka.context.workspace, steps=Steps(steps.done[:1]))
    assert rewritten.result == pykka.result
    assert (await rewritten.review()).passed


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ("pykka", "/input"),
        ({"package": 3}, "/input"),
        ({"package": "../etc", "installed": True}, "/input/package"),
        ({"package": "pykka"}, "/inputs"),
    ],
)
async def test_an_item_that_does_not_say_which_package_is_invalid(given: object, field: str, tmp_path: Path) -> None:
    made = await document(changed(installed("pykka"), input=given), tmp_path)
    assert made.result.stop_reason is StopReason.INVALID_ITEM
    assert made.result.error is not None
    assert made.result.error.message.startswith(f"{field} ")


async def test_a_package_that_is_not_installed_is_told_by_name(tmp_path: Path) -> None:
    made = await document(installed("no_such_package"), tmp_path)
    assert made.result.stop_reason is StopReason.INVALID_ITEM
    assert made.result.error is not None
    assert "no_such_package" in made.result.error.message


# --- with a model ---------------------------------------------------------------------------------------------------


async def test_a_model_describes_what_its_source_does_not(tmp_path: Path) -> None:
    model, steps = Describes(), Steps()
    made = await document(installed("pykka"), tmp_path, complete=model, steps=steps)
    assert made.result.success, made.result.error
    assert (steps.live[0], steps.live[-1], set(steps.live[1:-1])) == ("read", "write", {"describe"})
    assert made.result.data["described"] > 0
    described = [text for text in made.sections().values() if "*Described by scripted:model.*" in text]
    assert len(described) == made.result.data["described"]
    assert "It is what a model says it is." in described[0]
    assert (await replace(made, context=changed(made.context, complete=Scripted(model=None))).review()).passed


async def test_a_description_that_promises_more_later_is_left_out(tmp_path: Path) -> None:
    made = await document(installed("pykka"), tmp_path, complete=Describes("TODO: find out."))
    assert made.result.data["described"] == 0
    assert "TODO" not in made.page


class Describes(Scripted):
    """A model that says the same of every name it is asked about."""

    def __init__(self, text: str = "It is what a model says it is.") -> None:
        super().__init__()
        self._text = text

    async def __call__(self, request: object) -> ModelReply:
        schema = request.output_schema  # type: ignore[attr-defined]
        names = schema["properties"]["descriptions"]["items"]["properties"]["name"]["enum"]
        self._script.append({"descriptions": [{"name": name, "text": self._text} for name in names]})
        return await super().__call__(request)  # type: ignore[arg-type]
