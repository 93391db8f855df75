import asyncio
import hashlib
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from darumad import __version__
from darumad.agents import (
    ALL_STAGES,
    SHIPPED,
    AgentDefinition,
    SpawnRefused,
    Template,
    Templates,
    UnfitResult,
    load_template,
    loading,
    make_agent,
    template_file,
)
from darumad.names import AgentName, Role
from darumad.work.result import StopReason, WorkResult
from tests.agents.fakes import Scripted, agent, context, item, no_model
from tests.kit import captured_logs, eventually

GOOD = """
from dataclasses import dataclass
from darumad.agents import Template
from darumad.work.result import StopReason, WorkResult

@dataclass(frozen=True)
class Word:
    text: "str"

async def execute(item, context):
    return WorkResult(stop_reason=StopReason.COMPLETED, text=Word("hello").text)

TEMPLATE = Template(name="mine", version="2", says="greets", execute=execute, required_gates=frozenset())
"""


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.py"
    path.write_text(text)
    return str(path)


def test_what_ships_is_loaded_by_its_name() -> None:
    assert {load_template(each.name) for each in SHIPPED} == set(SHIPPED)
    assert {each.name for each in SHIPPED} == {"general", "documentation", "echo"}


def test_every_shipped_template_says_what_it_does_and_requires_a_gate() -> None:
    for each in SHIPPED:
        assert each.says.endswith(".")
        assert each.required_gates


async def test_a_file_is_loaded_by_its_path_and_works(tmp_path: Path) -> None:
    result = await agent(Role.EXECUTOR, written(tmp_path, GOOD)).execute_work(item(), context(tmp_path))
    assert (result.text, result.template) == ("hello", "mine@2")


async def test_a_result_tells_one_state_of_a_file_from_another_though_its_version_says_the_same(tmp_path: Path) -> None:
    made = [
        await agent(Role.EXECUTOR, written(tmp_path, text)).execute_work(item(), context(tmp_path))
        for text in (GOOD, GOOD.replace("hello", "good day"), GOOD)
    ]
    assert {each.template for each in made} == {"mine@2"}
    before, corrected, again = (each.resources_version for each in made)
    assert before == again == hashlib.sha256(GOOD.encode()).hexdigest()[:12] != corrected


async def test_what_ships_is_of_the_daemons_version(tmp_path: Path) -> None:
    result = await agent(Role.EXECUTOR, "echo").execute_work(item(input="hello"), context(tmp_path))
    assert result.resources_version == f"darumad {__version__}"


NEVER_AWAITED = GOOD.replace("async def", "def")
BY_AN_OBJECT = GOOD.replace("async def execute(", "class Work:\n  async def __call__(self, ").replace(
    "    return", "        return"
)
DECORATED = GOOD.replace(
    "async def",
    """
import functools

def counted(work):
    @functools.wraps(work)
    def call(*given):
        return work(*given)
    return call

@counted
async def""",
)


@pytest.mark.parametrize(
    "text",
    [BY_AN_OBJECT.replace("execute=execute", "execute=Work()"), DECORATED],
    ids=["by an object that is called", "decorated"],
)
async def test_asynchronous_work_is_taken_in_any_form(tmp_path: Path, text: str) -> None:
    result = await agent(Role.EXECUTOR, written(tmp_path, text)).execute_work(item(), context(tmp_path))
    assert result.text == "hello"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (NEVER_AWAITED, "its `execute` is not asynchronous; write `async def execute(item, context)`"),
        (GOOD.replace("execute=execute", "execute='execute'"), "its `execute` is not asynchronous"),
        (GOOD.replace("execute=execute", "execute=execute, check=len"), "write `async def check(item, context)`"),
        ("def broken(:", "SyntaxError"),
        ("raise KeyError('nope')", "KeyError: 'nope'"),
        ("import no_such_module_anywhere", "ModuleNotFoundError"),
        ("raise SystemExit(9)", "it asked the process to exit"),
        ("x = 1", "exposes no TEMPLATE"),
        ("TEMPLATE = 'a string'", "exposes no TEMPLATE"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_refused_with_its_name_and_the_reason(
    text: str, why: str, tmp_path: Path
) -> None:
    ref = written(tmp_path, text)
    with pytest.raises(SpawnRefused) as refused:
        load_template(ref)
    assert ref in str(refused.value)
    assert why in str(refused.value)


def test_everything_that_is_not_asynchronous_is_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = NEVER_AWAITED.replace("TEMPLATE =", "def check(item, context):\n    ...\n\nTEMPLATE =")
    with pytest.raises(SpawnRefused) as refused:
        load_template(written(tmp_path, text.replace("execute=execute", "execute=execute, check=check")))
    execute, check = str(refused.value).split("; its")
    assert execute.endswith("write `async def execute(item, context)` (mine.py:10)")
    assert check.endswith("write `async def check(item, context)` (mine.py:13)")


def test_every_argument_that_a_template_does_not_take_or_lacks_is_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("execute=execute", "execut=execute").replace('version="2", says="greets", ', "gates=1, ")
    with pytest.raises(SpawnRefused) as refused:
        load_template(written(tmp_path, text))
    unknown = "it takes no `gates`; it takes no `execut`; did you mean `execute`?"
    missing = "; ".join(f"`{each}` must be given" for each in ("version", "says", "execute"))
    assert str(refused.value).endswith(f"TypeError: Template: {unknown}; {missing} (mine.py:13)")


def test_every_argument_that_is_of_another_kind_is_told_at_once(tmp_path: Path) -> None:
    text = NEVER_AWAITED.replace('name="mine"', "name=5").replace("frozenset()", "['tests'], stages='executing'")
    more = "problems=3, opening=5, complete_by_form='no', needs_model=1, resources_version=5, says="
    with pytest.raises(SpawnRefused) as refused:
        load_template(written(tmp_path, text.replace("says=", more)))
    named = re.findall(r"its `(\w+)`", str(refused.value))
    kept = {"version", "says", "check"}
    assert named == [each for each in Template.__struct_fields__ if each not in kept]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        *((f"stages={each}", "stages") for each in ("()", "(Stage.REVIEWING,)", "(Stage.REVIEWING, Stage.EXECUTING)")),
        ("execute=none", "execute"),
        ("execute=None", "execute"),
        ("check=none", "check"),
        ("problems=none", "problems"),
        ("problems=two", "problems"),
        ("opening=one", "opening"),
        ('name=""', "name"),
        ('version=" "', "version"),
    ],
)
def test_what_no_item_could_be_run_by_is_refused_by_its_field(tmp_path: Path, said: str, field: str) -> None:
    others = "from darumad.names import Stage\nasync def none(): ...\ndef one(item): ...\ndef two(item, context): ...\n"
    given = {"name": '"mine"', "version": '"2"', "says": '"greets"', "execute": "execute"}
    given |= {"required_gates": "frozenset()", **dict([said.split("=", 1)])}
    declared = "TEMPLATE = Template(" + ", ".join(f"{name}={value}" for name, value in given.items()) + ")"
    with pytest.raises(SpawnRefused, match=rf"mine\.py: its `{field}` [^`]*(`[^`]*`[^`]*)?$") as refused:
        load_template(written(tmp_path, others + GOOD[: GOOD.index("TEMPLATE")] + declared))
    assert len(re.findall("its `", str(refused.value))) == 1


def test_a_file_that_imports_what_lies_beside_it_is_told_that_it_must_be_installed(tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").touch()
    with pytest.raises(SpawnRefused, match=r"'beside_it' \(mine\.py:1\); what lies beside a template is not looked at"):
        load_template(written(tmp_path, "import beside_it"))
    with pytest.raises(SpawnRefused, match=r"'nowhere_near' \(mine\.py:1\)$"):
        load_template(written(tmp_path, "import nowhere_near"))


def test_a_file_that_takes_its_time_is_named_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_file, "SLOW", -1.0)
    with captured_logs() as logged:
        load_template(written(tmp_path, GOOD))
    assert [(each["event"], each["file"]) for each in logged] == [("template_loaded_slowly", str(tmp_path / "mine.py"))]


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "GeneratorExit"])
def test_whatever_a_file_raises_as_it_is_imported_is_told_with_its_line(tmp_path: Path, raised: str) -> None:
    with pytest.raises(SpawnRefused, match=rf"mine\.py: {raised} \(mine\.py:1\)$"):
        load_template(written(tmp_path, f"raise {raised}"))


def test_an_opening_that_would_have_to_be_awaited_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace("says=", "opening=execute, says=")
    with pytest.raises(SpawnRefused, match="its `opening` must be a function, not asynchronous; write `def opening"):
        load_template(written(tmp_path, text))


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SpawnRefused, match=r"gone\.py"):
        load_template(str(tmp_path / "gone.py"))


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(SpawnRefused, match="general, documentation, echo"):
        load_template("ecko")


async def test_a_corrected_file_is_taken_up_when_it_is_loaded_again(tmp_path: Path) -> None:
    mine = defined("mine", written(tmp_path, "1/0"))
    templates = Templates([mine])
    with pytest.raises(SpawnRefused, match="it was not loaded yet"):
        templates("mine")
    templates.load()
    with pytest.raises(SpawnRefused, match="ZeroDivisionError"):
        make_agent(Role.EXECUTOR, mine, templates)
    written(tmp_path, GOOD)
    templates.load()
    make_agent(Role.EXECUTOR, mine, templates)
    assert templates("mine").version == "2"
    written(tmp_path, GOOD.replace('version="2"', 'version="3"'))
    assert templates("mine").version == "2"
    assert (await templates.reload("mine")).version == templates("mine").version == "3"
    (tmp_path / "mine.py").unlink()
    with pytest.raises(SpawnRefused, match="there is no such file"):
        await templates.reload("mine")
    assert (templates.loaded("mine"), templates.walk("mine")) == (None, ALL_STAGES)


# --- files that take their time ---------------------------------------------------------------------------------------


class Slow:
    """What `WAITS` has at its top level. `runs` are the threads that came there, `go` lets them through."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.came = threading.Semaphore(0)
        self.go = threading.Event()

    def __call__(self) -> None:
        self.runs.append(threading.current_thread().name)
        self.came.release()
        assert self.go.wait(60)


WAITS = f"import builtins\nbuiltins.slow()\n{GOOD}"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    slow = Slow()
    monkeypatch.setattr("builtins.slow", slow, raising=False)
    yield slow
    slow.go.set()


def defined(name: str, template: str, count: int = 1) -> AgentDefinition:
    return AgentDefinition(name=AgentName(name), role=Role.EXECUTOR, template=template, count=count)


def waiting_for(templates: Templates, agent: str) -> int:
    run = templates._runs.get(agent)
    return 0 if run is None else len(run.over._done_callbacks)


async def test_while_a_file_is_run_the_loop_turns_and_all_who_asked_get_what_comes_of_one_run(
    tmp_path: Path, slow: Slow
) -> None:
    templates = Templates([defined("mine", written(tmp_path, WAITS))])
    asked = [asyncio.create_task(templates.reload("mine")) for _ in range(16)]
    await asyncio.to_thread(eventually, lambda: waiting_for(templates, "mine") == 16)
    slow.go.set()
    assert len({id(each) for each in await asyncio.gather(*asked)}) == 1
    assert slow.runs == ["template mine"]
    await templates.reload("mine")
    assert len(slow.runs) == 2, "whoever asks when it has ended has it run again"


async def test_what_the_start_loaded_is_for_the_first_life_of_each_instance_and_a_later_one_runs_the_file_anew(
    tmp_path: Path, slow: Slow
) -> None:
    slow.go.set()
    templates = Templates([defined("mine", written(tmp_path, WAITS), count=3)])
    templates.load()
    first = [await templates.reload("mine") for _ in range(3)]
    assert {id(each) for each in first} == {id(templates("mine"))}
    assert len(slow.runs) == 1
    later = [await templates.reload("mine") for _ in range(2)]
    assert len({id(each) for each in (first[0], *later)}) == len(slow.runs) == 3


async def test_a_file_that_does_not_come_to_its_end_keeps_down_nobody_else(
    tmp_path: Path, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "PATIENCE", 0.01)
    (tmp_path / "other.py").write_text(GOOD)
    ref = written(tmp_path, WAITS)
    templates = Templates([defined("mine", ref), defined("other", str(tmp_path / "other.py")), defined("e", "echo")])
    with captured_logs() as logged:
        templates.load()
    assert [(each["event"], each["agent"]) for each in logged] == [("template_still_loading", "mine")]
    await templates.reload("other")
    assert (await templates.reload("e")).name == "echo"
    for _ in range(3):
        with pytest.raises(SpawnRefused, match=r"mine\.py: it is still being run, after 0 s"):
            await templates.reload("mine")
        with pytest.raises(SpawnRefused, match=r"mine\.py: it is still being run"):
            templates("mine")
    assert len(slow.runs) == 1, "it is not run again beside itself"
    slow.go.set()
    eventually(lambda: templates.loaded("mine") is not None)
    assert await templates.reload("mine") is templates("mine")
    assert len(slow.runs) == 1, "what it came to when nobody waited any more is for whoever asks next"


def test_no_file_is_waited_for_by_a_start_that_is_to_end(tmp_path: Path, slow: Slow) -> None:
    templates = Templates([defined("mine", written(tmp_path, WAITS))])
    asked = threading.Event()

    def unless() -> bool:
        assert slow.came.acquire(timeout=10)
        asked.set()
        return True

    with captured_logs() as logged:
        templates.load(unless)
    assert (asked.is_set(), logged) == (True, [])


async def test_a_file_that_was_corrected_while_it_was_run_is_run_as_it_is_now_and_the_late_one_counts_no_more(
    tmp_path: Path, slow: Slow
) -> None:
    templates = Templates([defined("mine", written(tmp_path, WAITS))])
    late = asyncio.create_task(templates.reload("mine"))
    await asyncio.to_thread(slow.came.acquire)
    written(tmp_path, GOOD.replace('version="2"', 'version="3"'))
    assert (await templates.reload("mine")).version == "3"
    slow.go.set()
    assert (await late).version == "2", "who asked before the correction gets what was there then"
    assert templates("mine").version == "3"


async def test_who_waits_for_a_file_no_longer_does_not_end_its_run(tmp_path: Path, slow: Slow) -> None:
    templates = Templates([defined("mine", written(tmp_path, WAITS))])
    gone = asyncio.create_task(templates.reload("mine"))
    await asyncio.to_thread(eventually, lambda: waiting_for(templates, "mine") == 1)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    stays = asyncio.create_task(templates.reload("mine"))
    await asyncio.to_thread(eventually, lambda: waiting_for(templates, "mine") == 2)
    slow.go.set()
    assert (await stays).version == "2"
    assert len(slow.runs) == 1


def test_two_files_of_one_name_that_are_run_at_once_are_modules_apart(tmp_path: Path, slow: Slow) -> None:
    refs = [written(home, WAITS) for home in (tmp_path / "a", tmp_path / "b") if home.mkdir() is None]
    templates = Templates([defined(f"of-{number}", ref) for number, ref in enumerate(refs)])
    loads = threading.Thread(target=templates.load)
    loads.start()
    for _ in refs:
        assert slow.came.acquire(timeout=10)
    slow.go.set()
    loads.join()
    modules = [templates(f"of-{number}").execute.__module__ for number, _ in enumerate(refs)]
    assert [sys.modules[each].__file__ for each in modules] == refs


def test_a_template_whose_fields_raise_when_they_are_looked_at_is_refused(tmp_path: Path) -> None:
    odd = "class Odd:\n    @property\n    def __code__(self):\n        1/0\n    def __call__(self): ...\n"
    templates = Templates([defined("mine", written(tmp_path, odd + GOOD.replace("execute=execute", "execute=Odd()")))])
    templates.load()
    with pytest.raises(SpawnRefused, match=r"mine\.py: ZeroDivisionError"):
        templates("mine")


FORGETFUL = """
from darumad.agents import Template

async def execute(item, context):
    "done"

async def check(item, context):
    "seen"

TEMPLATE = Template(
    name="mine", version="2", says="forgets", execute=execute, check=check, required_gates=frozenset()
)
"""


@pytest.mark.parametrize("model", [no_model(), Scripted()], ids=["without a model", "with one"])
async def test_work_that_is_not_handed_back_is_told_with_the_template_and_what_to_do(
    tmp_path: Path, model: Scripted
) -> None:
    worker = agent(Role.EXECUTOR, written(tmp_path, FORGETFUL))
    with pytest.raises(UnfitResult, match="`execute` of mine@2 returned None; let each of its paths return a Work"):
        await worker.execute_work(item(), context(tmp_path, complete=model))


async def test_a_check_that_is_not_handed_back_is_told_with_the_template_and_what_to_do(tmp_path: Path) -> None:
    reviewer = agent(Role.REVIEWER, written(tmp_path, FORGETFUL))
    work = WorkResult(stop_reason=StopReason.COMPLETED)
    with pytest.raises(UnfitResult, match="`check` of mine@2 returned None; let each of its paths return a Review"):
        await reviewer.execute_work(item(), context(tmp_path, work=work))


async def test_problems_that_are_none_are_told_with_the_template_and_what_to_do(tmp_path: Path) -> None:
    for returned, said in (
        ("None", "returned None; let"),
        ("('bad input',)", "returned a str among others; let"),
        ("'bad input'", "returned a str among others; let"),
    ):
        asks = f"def problems(item):\n    return {returned}\n\nTEMPLATE ="
        text = GOOD.replace("TEMPLATE =", asks).replace("says=", "problems=problems, says=")
        with pytest.raises(UnfitResult, match=f"`problems` of mine@2 {said} each of its paths return a tuple of Prob"):
            await agent(Role.EXECUTOR, written(tmp_path, text)).execute_work(item(), context(tmp_path))


async def test_problems_are_looked_for_beside_the_loop(tmp_path: Path, slow: Slow) -> None:
    asks = "import builtins\n\ndef problems(item):\n    builtins.slow()\n    return ()\n\nTEMPLATE ="
    text = GOOD.replace("TEMPLATE =", asks).replace("says=", "problems=problems, says=")
    worker = agent(Role.EXECUTOR, written(tmp_path, text))
    working = asyncio.create_task(worker.execute_work(item(), context(tmp_path)))
    await asyncio.to_thread(slow.came.acquire)
    slow.go.set()
    assert (await working).text == "hello"


@pytest.mark.parametrize(
    ("review", "said"),
    [
        ("gates={Gate.CORRECTNESS: True}, required=frozenset()", r"got `bool` - at `\$.gates\[...\]`"),
        ("gates={Gate.CORRECTNESS: Finding(Verdict.FAIL, 'bad')}, required=frozenset()", r"\$.gates\[...\].issues"),
        ("gates={'beauty': Finding(Verdict.FAIL)}, required=frozenset()", r"'beauty' - at `key` in `\$.gates`"),
        ("gates={}, required=frozenset({'beauty'})", r"'beauty' - at `\$.required"),
        ("gates={}, required=frozenset(), recommendations=(5,)", r"\$.recommendations"),
        ("gates={}, required=frozenset(), requirements={'a': object()}", "object is unsupported"),
    ],
)
async def test_what_is_wrong_with_a_review_is_told_with_the_template_and_its_place(
    tmp_path: Path, review: str, said: str
) -> None:
    text = f"from darumad.work import Finding, Gate, Review, Verdict\n{FORGETFUL}".replace(
        '"seen"', f"return Review({review})"
    )
    reviewer = agent(Role.REVIEWER, written(tmp_path, text))
    work = WorkResult(stop_reason=StopReason.COMPLETED)
    with pytest.raises(UnfitResult, match=f"`check` of mine@2 returned a Review that is none: .*{said}"):
        await reviewer.execute_work(item(), context(tmp_path, work=work))


async def test_a_template_that_broke_after_the_work_is_no_crash_of_the_reviewer(tmp_path: Path) -> None:
    reviewer = agent(Role.REVIEWER, written(tmp_path, "1/0"))
    work = WorkResult(stop_reason=StopReason.COMPLETED)
    result = await reviewer.execute_work(item(), context(tmp_path, work=work))
    assert result.stop_reason is StopReason.TOOL_ERROR


def test_a_name_that_no_template_has_is_refused_with_the_one_that_was_perhaps_meant() -> None:
    with pytest.raises(SpawnRefused, match="did you mean `general`"):
        load_template("genral")


def test_a_file_that_cannot_be_looked_at_refuses_its_agent_and_nobody_else(tmp_path: Path) -> None:
    with pytest.raises(SpawnRefused, match="it cannot be read: File name too long"):
        load_template(str(tmp_path / f"{'long' * 64}.py"))


def test_a_file_that_is_not_there_is_said_not_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(SpawnRefused, match=r"gone\.py: there is no such file"):
        load_template(str(tmp_path / "gone.py"))
