"""The commands as programs: what they print where, and how they end."""

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from darumad.cli import main
from darumad.cli.packing import packed
from darumad.cli.work import CLEARED
from darumad.control.wire import EditRequest
from darumad.names import AgentName, ItemId
from darumad.work import Artifact, WorkItem
from darumad.work.item import NO_LIMITS
from tests.cli.conftest import Run
from tests.control.room import CLEAR, WITHIN, Room, Served, serving
from tests.kit import eventually

TEXT = "Write a report of all the specific files because the goal must be met using only the tools"
INTERRUPTIBLE = ("env", "--default-signal=INT", sys.executable)
"""A shell's job in the background has its interrupts ignored, and hands that on: also to tests, and their children."""


def test_submit_prints_the_id_and_the_state_and_the_item_is_there(served: Served, run: Run) -> None:
    done = run("submit", TEXT, "--id", "one", "--agent", "echo", "--label", "team=a", "--priority", "7",
               "--backoff", "100ms", "--max-attempts", "8", "--success", "it is there")  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "one  ready\n")
    record = served.room.journal.reader().record(ItemId("one"))
    assert record is not None
    item = record.item
    assert (item.agent, dict(item.labels), item.priority, item.backoff, item.max_attempts) == (
        "echo", {"team": "a"}, 7, 0.1, 8,
    )  # fmt: skip


def test_what_a_traced_caller_submits_can_be_found_by_its_trace_and_tells_which_lives_held_it(
    served: Served, run: Run
) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    environ = {"DARUMA_SOCKET": str(served.path), "TRACEPARENT": f"00-{trace}-00f067aa0ba902b7-01"}
    assert run("submit", TEXT, "--id", "one", "--agent", "echo", env=environ).returncode == 0
    served.room.succeed()
    shown = run("work", "show", "one", "--attempts").stdout
    assert re.search(f"^correlation +{trace}$", shown, re.MULTILINE)
    assert "  boot 1 of 0.1.0\n" in shown


@pytest.mark.parametrize("argv", [[], ["-"], ["--file", "-"]])
def test_a_description_is_read_from_standard_input(served: Served, run: Run, argv: list[str]) -> None:
    assert run("submit", "--id", "one", *argv, input=f"{TEXT}\n").returncode == 0
    record = served.room.journal.reader().record(ItemId("one"))
    assert record is not None
    assert record.item.description == TEXT


def test_a_whole_item_is_taken_from_json_and_options_are_said_over_it(served: Served, run: Run, tmp_path: Path) -> None:
    (tmp_path / "item.json").write_text(json.dumps({**CLEAR, "id": "one", "priority": 2}))
    assert run("submit", "--item", str(tmp_path / "item.json"), "--priority", "9").returncode == 0
    record = served.room.journal.reader().record(ItemId("one"))
    assert record is not None
    assert (record.item.agent, record.item.priority) == ("echo", 9)


def test_a_dialogue_is_taken_from_a_file(served: Served, run: Run, tmp_path: Path) -> None:
    talk = tmp_path / "talk.json"
    talk.write_text('[{"role": "user", "text": "Name a colour."}, {"role": "assistant", "text": "Blue."}]')
    assert run("submit", "--id", "next", "--messages", str(talk), "And another?", "--no-challenge").returncode == 0
    record = served.room.journal.reader().record(ItemId("next"))
    assert record is not None
    assert [each.text for each in record.item.messages] == ["Name a colour.", "Blue."]
    assert "goes on from  2 messages" in run("work", "show", "next").stdout
    talk.write_text("[")
    assert (said := run("submit", "--messages", str(talk), "And another?")).returncode == 2
    assert f"{talk}" in said.stderr


def test_a_parent_shows_its_sub_work_and_takes_it_along(run: Run) -> None:
    assert run("submit", "--id", "top", TEXT).returncode == 0
    assert run("submit", "--id", "part", "--parent", "top", TEXT).returncode == 0
    assert "  child: part  ready" in run("work", "show", "top").stdout
    assert re.search(r"parent +top", run("work", "show", "part").stdout)
    assert json.loads(run("work", "list", "--parent", "top", "--json").stdout)["items"][0]["id"] == "part"
    assert run("work", "cancel", "top").stdout.splitlines() == ["top  cancelled", "  cancelled with it: part"]
    refused = run("submit", "--parent", "top", TEXT)
    assert (refused.returncode, "which is cancelled" in refused.stderr) == (2, True)


def test_a_conversation_is_found_by_its_name(run: Run) -> None:
    assert run("submit", "--id", "one", "--conversation", "talk", TEXT).returncode == 0
    assert run("submit", "--id", "two", TEXT).returncode == 0
    listed = json.loads(run("work", "list", "--conversation", "talk", "--json").stdout)
    assert [each["id"] for each in listed["items"]] == ["one"]
    assert re.search(r"conversation +talk", run("work", "show", "one").stdout)


@pytest.mark.parametrize("argv", [[], ["--json"], ["--wait", "--"], ["--item", "item.json"]])
def test_the_name_of_a_file_is_no_task_and_the_ways_to_hand_it_in_are_said(
    served: Served, run: Run, tmp_path: Path, argv: list[str]
) -> None:
    (tmp_path / "item.json").write_text(json.dumps(CLEAR))
    done = run("submit", *argv, "item.json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    for way in ("--item item.json", "--file item.json", "echo item.json | daruma submit"):
        assert way in done.stderr
    assert not served.client.call("work list")["items"]


def test_a_text_that_is_too_long_for_a_name_is_a_text(served: Served, run: Run) -> None:
    assert run("submit", "x" * 300, "--id", "long", "--no-challenge").returncode == 0
    assert served.client.call("work show", id="long")["asked"]["description"] == "x" * 300


def test_what_is_wrong_is_said_on_stderr_field_by_field_with_the_next_step(run: Run) -> None:
    done = run("submit", TEXT, "--agent", "documentatoin", "--priority", "11")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean `documentation`" in done.stderr
    assert "-> Correct the fields named" in done.stderr


def test_a_vague_item_comes_back_with_its_questions_and_waiting_for_it_ends_with_5(run: Run) -> None:
    done = run("submit", "just make it better somehow", "--id", "vague", "--wait")
    assert done.returncode == 5
    assert "? What is the goal?" in done.stderr
    assert '-> daruma work answer vague "..."' in done.stderr
    assert run("work", "answer", "vague", "a report of the files").stdout == "vague  released\n"


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_vague_item_is_accepted_without_a_wait_and_what_it_waits_for_is_on_stderr(run: Run, form: str) -> None:
    done = run("submit", "just make it better somehow", "--id", "vague", "-o", form)
    assert done.returncode == 0, "it is kept for good, and nothing is lost by waiting"
    if form == "table":
        assert done.stdout == "vague  parked (challenge)\n"
    else:
        assert json.loads(done.stdout)["state"] == "parked"
    assert "vague waits for answers before it begins" in done.stderr
    assert "? What is the goal?" in done.stderr
    assert '-> daruma work answer vague "..."' in done.stderr


@pytest.mark.parametrize(("end", "code"), [("succeed", 0), ("die", 1)])
def test_waiting_ends_as_the_item_does(served: Served, run: Run, end: str, code: int) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    getattr(served.room, end)()
    done = run("work", "wait", "one")
    assert done.returncode == code
    assert done.stdout == f"one  {'succeeded' if code == 0 else 'dead'}\n"
    assert ("the tool broke" in done.stderr) == (code == 1)


def test_a_submit_that_waits_prints_the_result(served: Served, run: Run) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.succeed()
    done = run("submit", "--item", "-", "--wait", input=json.dumps({**CLEAR, "id": "one"}))
    assert (done.returncode, done.stdout) == (0, "it is done\n")


def test_waiting_no_longer_than_told_ends_with_7_and_the_item_goes_on(served: Served, run: Run) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    done = run("work", "wait", "one", "--within", "50ms")
    assert done.returncode == 7
    assert "The work goes on" in done.stderr


def test_a_batch_is_handed_in_from_lines_or_from_an_array(served: Served, run: Run, tmp_path: Path) -> None:
    items = [{**CLEAR, "id": "a"}, {**CLEAR, "id": "b", "depends_on": ["a"]}]
    (tmp_path / "items.json").write_text(json.dumps(items))
    assert "waiting" in run("batch", str(tmp_path / "items.json")).stdout
    lines = "\n".join(json.dumps(each) for each in items)
    again = run("batch", "-", "-o", "ndjson", input=lines)
    assert [json.loads(line)["created"] for line in again.stdout.splitlines()] == [False, False]


def test_an_item_whose_id_is_null_is_given_one_before_it_is_handed_in(served: Served, run: Run, tmp_path: Path) -> None:
    """By the command, not by the daemon: under one that the daemon made, a repeat after a lost answer is more work."""
    item = tmp_path / "item.json"
    item.write_text(json.dumps({**CLEAR, "id": None}))
    assert run("batch", str(item)).returncode == 0
    assert run("submit", "--item", str(item)).returncode == 0
    ids = [each["id"] for each in served.client.call("work list")["items"]]
    assert [len(each) for each in ids] == [36, 36], "the room's own are short"


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--requires", {"requires": None}),
        ("--after", {"depends_on": "one"}),
        ("--requirement", {"requirements": {"a": 1}}),
        ("--daemon-path", {"inputs": None}),
        ("--label", {"labels": None}),
        ("--label", {"labels": ["k=v"]}),
    ],
)
def test_what_an_options_value_cannot_be_added_to_is_refused_by_its_field(
    served: Served, run: Run, tmp_path: Path, option: str, said: dict[str, object]
) -> None:
    item = tmp_path / "item.json"
    item.write_text(json.dumps({**CLEAR, **said}))
    done = run("submit", "--item", str(item), option, "k=v")
    assert done.returncode == 2
    assert all(f"/{field}: must be a" in done.stderr for field in said)
    assert served.client.call("work list")["items"] == []


def test_lists_are_tables_for_people_and_json_for_programs(served: Served, run: Run) -> None:
    served.client.batch([{**CLEAR, "id": "a"}, {**CLEAR, "id": "b"}])
    table = run("work", "list").stdout.splitlines()
    assert table[0].split() == ["ID", "STATE", "STAGE", "AGENT", "TRY", "DESCRIPTION"]
    assert [line.split()[0] for line in table[1:]] == ["a", "b"]
    assert json.loads(run("work", "list", "--json").stdout) == served.client.call("work list")
    rows = run("work", "list", "-o", "ndjson", "--limit", "1")
    assert [json.loads(line)["id"] for line in rows.stdout.splitlines()] == ["a"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["status", "--socket", ""], "'--socket': it is empty; name a path, or leave the option out"),
        (["doctor", "--config", ""], "'--config': it is empty; name a path, or leave the option out"),
        (["config", "check", "--config="], "'--config': it is empty; name a path, or leave the option out"),
        (["result", "one", "--save", ""], "'--save': it is empty; name a path, or leave the option out"),
        (["submit", TEXT, "--input", ""], "'--input': it is empty; name a path, or leave the option out"),
        (["journal", "check", "--config", ""], "'--config': it is empty; name a path, or leave the option out"),
        (["backup", ""], "'FILE': it is empty; name a path"),
    ],
)
def test_an_empty_path_is_refused_and_not_taken_for_where_one_stands(run: Run, argv: list[str], said: str) -> None:
    done = run(*argv)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"Error: Invalid value for {said}"


KNOWN = "documentation, echo, executor, optimizer, orchestrator, reviewer"


@pytest.mark.parametrize(
    ("argv", "fact", "way"),
    [
        ("work cancel nobody", "no item is called nobody", "`daruma work list`"),
        ("work retry nobody", "no item is called nobody", "`daruma work list`"),
        ("agents show nobody", f"no agent is called nobody; there are {KNOWN}", "`daruma agents list`"),
        ("agents restart nobody", f"no agent is called nobody; there are {KNOWN}", "`daruma agents list`"),
        ("providers check nobody", "no provider is called nobody; there is only far", "`daruma providers list`"),
        ("secrets remove nobody", "no secret is called nobody", "`daruma secrets list`"),
    ],
)
def test_what_is_unknown_is_said_in_one_sentence_with_the_list_it_would_stand_in(
    run: Run, argv: str, fact: str, way: str
) -> None:
    done = run(*argv.split())
    first, second = done.stderr.splitlines()
    assert (done.returncode, first) == (4, f"daruma: {fact}")
    assert way in second


def test_a_dependency_that_is_unknown_is_named_once_with_its_place(run: Run) -> None:
    done = run("submit", TEXT, "--id", "one", "--after", "nothere")
    assert done.returncode == 2
    assert done.stderr.splitlines()[:-1] == [
        "daruma: nothing was accepted",
        "  /depends_on/0: one depends on nothere, which the journal does not know",
    ]


@pytest.mark.parametrize(("argv", "done"), [("retry one", "retried"), ("answer one yes", "answered")])
def test_what_cannot_be_done_to_a_cancelled_item_is_said_in_the_word_that_was_typed(
    served: Served, run: Run, argv: str, done: str
) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.client.call("work cancel", {}, id="one")
    refused = run("work", *argv.split())
    assert refused.returncode == 5
    assert f"one is cancelled: it cannot be {done}" in refused.stderr


def test_an_unknown_item_ends_with_4_and_an_impossible_wish_with_5(served: Served, run: Run) -> None:
    assert run("work", "show", "nobody").returncode == 4
    served.client.submit({**CLEAR, "id": "one"})
    assert run("result", "one").returncode == 5


def test_a_result_is_saved_with_its_files(served: Served, run: Run, tmp_path: Path) -> None:
    content = b"# Page\n" * 1000
    served.client.submit({**CLEAR, "id": "one"})
    place = served.room.directory / "workspaces" / "one" / "docs"
    place.mkdir(parents=True)
    (place / "page.md").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    served.room.succeed((Artifact(name="docs/page.md", media_type="text/markdown", size=7000, sha256=digest),))
    shown = run("result", "one")
    assert "docs/page.md  7000 bytes" in shown.stdout
    assert shown.stderr == "  -> daruma result one --save DIR\n"
    done = run("result", "one", "--save", str(tmp_path / "out"))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / "docs" / "page.md").read_bytes() == content
    assert json.loads((tmp_path / "out" / "result.json").read_text())["item_id"] == "one"


def test_a_directory_is_packed_the_same_whenever_its_content_is(served: Served, run: Run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "package" / "sub").mkdir(parents=True)
        for file in ("b.py", "a.py", "sub/c.py"):
            (tmp_path / name / "package" / file).write_text(file)
    os.utime(tmp_path / "two" / "package" / "a.py", (1, 1))
    with packed(tmp_path / "one" / "package") as first, packed(tmp_path / "two" / "package") as second:
        assert (first.sha256, first.name, first.media_type) == (second.sha256, "package", "application/x-tar")
        with tarfile.open(fileobj=io.BytesIO(first.content.read())) as archive:
            assert archive.getnames() == ["a.py", "b.py", "sub/c.py"]
    assert (
        run("submit", TEXT, "--id", "one", "--agent", "echo", "--input", str(tmp_path / "one" / "package")).returncode
        == 0
    )
    record = served.room.journal.reader().record(ItemId("one"))
    assert record is not None
    (input_,) = record.item.inputs
    assert (input_.name, input_.upload) == ("package", first.sha256)
    assert (served.room.directory / "uploads" / first.sha256).exists()


def test_a_cancel_says_what_it_stopped(served: Served, run: Run) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.claim()
    assert run("work", "cancel", "one").stdout == "one  cancelled\n  stopped: one\n"


def test_the_tree_is_drawn(run: Run) -> None:
    lines = run("tree").stdout.splitlines()
    drawn = ["daruma ", "└─ engine ", "   └─ orchestrator "]
    assert [line[: len(place)] for line, place in zip(lines[1:], drawn, strict=True)] == drawn


def test_events_are_lines_that_end_where_the_present_begins(served: Served, run: Run) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    lines = run("events").stdout.splitlines()
    assert any(re.search(r"work\.submitted +one ", line) for line in lines)
    assert [json.loads(line) for line in run("events", "-o", "ndjson").stdout.splitlines()] == list(
        served.client.events()
    )


def test_events_begin_behind_a_position_or_so_long_ago_and_nothing_else(served: Served, run: Run) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    everything = run("events").stdout
    assert run("events", "--since", "0").stdout == run("events", "--since", "1h").stdout == everything
    done = run("events", "--since", "yesterday")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'yesterday' is neither a position such as 4711 nor a time such as 90s, 10m or 2h" in done.stderr


@pytest.mark.parametrize("command", [("submit", "Sort the files"), ("work", "edit", "one")], ids=" ".join)
def test_a_label_that_is_said_twice_is_refused_by_its_key(served: Served, run: Run, command: tuple[str, ...]) -> None:
    served.client.submit({**CLEAR, "id": "one", "agent": "echo"})
    done = run(*command, "--label", "k=a", "--label", "other=a", "--label", "k=b")
    assert done.returncode == 2
    assert "Invalid value for --label: 'k' is said twice; keep one" in done.stderr
    assert [each["id"] for each in served.client.call("work list")["items"]] == ["one"]


WRONG = [{"description": TEXT}, {"description": TEXT, "priority": 11}, {"description": TEXT, "id": "a b"}]


@pytest.mark.parametrize(("between", "places"), [("\n\n", ("line 3 ", "line 5 ")), (",\n", ("/1", "/2"))])
def test_what_is_wrong_with_an_item_of_a_batch_is_told_where_it_stands_in_the_file(
    served: Served, run: Run, tmp_path: Path, between: str, places: tuple[str, ...]
) -> None:
    file, whole = tmp_path / "items", between.join(map(json.dumps, WRONG[:2]))
    file.write_text(f"[{whole}]" if "," in between else whole)
    assert f"  {file} {places[0]}/priority: must be 0 to 10, is 11\n" in run("batch", str(file)).stderr
    whole = between.join(map(json.dumps, [WRONG[0], WRONG[0], WRONG[2]]))
    done = run("batch", "-", input=f"[{whole}]" if "," in between else whole)
    assert f"  standard input {places[1]}/id: " in done.stderr
    assert (done.returncode, served.client.call("work list")["items"]) == (2, [])


WORN = {
    "requirements": ["a"], "constraints": ["b"], "labels": {"k": "v"}, "budget": {"calls": 9}, "success_criteria": "c",
    "input": {"d": 1}, "expires_at": "2999-01-01T00:00:00Z", "timeout": 60, "idle_timeout": 60, "backoff": 1,
}  # fmt: skip


@pytest.mark.parametrize("field", CLEARED)
def test_an_edit_takes_off_what_an_item_may_do_without_and_leaves_the_rest(
    served: Served, run: Run, field: str
) -> None:
    served.client.submit({**CLEAR, **WORN, "id": "one"})
    before = served.client.call("work show", id="one")["asked"]
    done = run("work", "edit", "one", "--clear", field)
    assert (done.returncode, done.stdout) == (0, "one  ready  edited\n")
    after = served.client.call("work show", id="one")["asked"]
    assert {name for name, value in before.items() if value != after[name]} == {field}
    assert after[field] in (None, [], {}, {"nano_usd": None, "tokens": None, "calls": None})


def test_whatever_an_edit_may_take_off_can_be_cleared() -> None:
    bare = WorkItem(id=ItemId("a"), description="b")
    empty = {name for name in EditRequest.model_fields if getattr(bare, name) in (None, (), {}, NO_LIMITS)}
    assert CLEARED.keys() == empty


def test_what_is_said_and_cleared_at_once_is_refused_and_nothing_is_changed(served: Served, run: Run) -> None:
    served.client.submit({**CLEAR, **WORN, "id": "one"})
    done = run("work", "edit", "one", "--requirement", "z", "--clear", "requirements", "--clear", "labels")
    assert done.returncode == 2
    assert "requirements: say what it is to be, or --clear, not both" in done.stderr
    assert served.client.call("work show", id="one")["asked"]["labels"] == {"k": "v"}


def test_events_behind_a_position_that_is_not_there_yet_are_refused_with_the_newest(served: Served, run: Run) -> None:
    newest = list(served.client.events())[-1]["seq"]
    assert run("events", "--since", str(newest)).returncode == 0
    done = run("events", "--since", str(newest + 1))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"/since: is {newest + 1}, and the newest event has position {newest}" in done.stderr


def test_a_number_is_a_position_however_long_it_is(run: Run) -> None:
    done = run("events", "--since", "9" * 20)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"'--since': {'9' * 20} is no position" in done.stderr


def test_following_events_is_interrupted_with_130(served: Served) -> None:
    command = [*INTERRUPTIBLE, "-m", "darumad", "events", "--follow", "--since", "0", "--socket", str(served.path)]
    served.client.submit({**CLEAR, "id": "one"})
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        while "work.submitted" not in follower.stdout.readline():
            pass
        served.room.succeed()
        while "work.succeeded" not in follower.stdout.readline():
            pass
        follower.send_signal(signal.SIGINT)
        assert follower.wait(10) == 130
        assert follower.stderr is not None
        assert "Traceback" not in follower.stderr.read()


def test_a_reader_that_goes_away_ends_a_command_without_a_word(served: Served) -> None:
    served.client.batch([{**CLEAR, "id": f"i{number}"} for number in range(300)])
    line = f"{sys.executable} -m darumad events --socket {served.path} | head -1"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True)
    assert (len(done.stdout.splitlines()), done.stderr) == (1, "")


def test_health_ends_with_1_when_something_does_not_live(served: Served, run: Run) -> None:
    assert run("health").returncode == 0
    served.room.signs["writer"] = "its batch is 31 s old"
    done = run("health")
    assert done.returncode == 1
    assert "RED  writer: its batch is 31 s old" in done.stdout


def test_while_draining_who_hands_in_a_known_item_waits_for_it_and_who_hands_in_a_new_one_is_told_to_send_it_again(
    served: Served, run: Run
) -> None:
    run("submit", TEXT, "--id", "one", "--agent", "echo")
    served.room.is_draining = True
    late = run("submit", TEXT, "--id", "one", "--agent", "echo", "--wait", "--within", "1ms")
    assert (late.returncode, late.stderr.splitlines()[-1]) == (
        7,
        "  -> The work goes on; ask again with `daruma work wait`.",
    )
    served.room.succeed()
    assert run("submit", TEXT, "--id", "one", "--agent", "echo", "--wait").returncode == 0
    refused = run("submit", TEXT, "--id", "new", "--agent", "echo", "--wait")
    assert refused.returncode == 75
    assert "it is draining\n  -> Nothing new was accepted: send it again" in refused.stderr


def test_drain_resume_and_stop_reach_the_daemon(served: Served, run: Run) -> None:
    assert [run(name).stdout for name in ("drain", "resume", "stop")] == ["draining\n", "running\n", "stopping\n"]
    eventually(lambda: [what for what, _ in served.room.asked] == ["drain", "resume", "stop"])


@pytest.mark.parametrize("argv", [["status"], ["metrics"], ["agents", "list"], ["agents", "show", "echo"]])
def test_what_is_looked_at_is_on_stdout(run: Run, argv: list[str]) -> None:
    done = run(*argv)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_metrics_are_prometheus_page_and_json_where_json_is_asked_for(run: Run) -> None:
    assert 'daruma_queue_items{state="ready"} 0.0' in run("metrics").stdout.splitlines()
    none = {"name": "daruma_queue_items", "labels": {"state": "ready"}, "value": 0.0}
    assert none in json.loads(run("metrics", "--json").stdout)["items"]
    assert none in [json.loads(line) for line in run("metrics", "-o", "ndjson").stdout.splitlines()]


def test_a_restart_that_could_not_start_all_says_which_and_ends_with_1(served: Served, run: Run) -> None:
    assert run("agents", "restart", "echo").returncode == 0
    served.room.cannot_start = "no thread was left"
    done = run("agents", "restart", "echo")
    assert (done.returncode, done.stdout) == (
        1, "daruma/engine/minds/executors/echo/1  could not start, and is tried again: no thread was left\n",
    )  # fmt: skip


def test_agents_are_counted_a_line_each_and_their_instances_are_told_when_asked(served: Served, run: Run) -> None:
    (one,) = served.room.instances
    states = {"echo/2": "busy", "echo/3": "benched", "slow/1": "degraded", "slow/2": "starting"}
    more = [{**one, "path": f"daruma/engine/minds/executors/{place}", "agent": place[:-2], "state": state}
            for place, state in states.items()]  # fmt: skip
    served.room.instances.extend(more)
    asleep = served.client.call("agents list")["asleep"]
    lines = [line.split() for line in run("agents", "list").stdout.splitlines()]
    assert lines == [
        ["AGENT", "INSTANCES", "STARTING", "BUSY", "DEGRADED", "BENCHED", "ERRORS", "RESTARTS"],
        ["echo", "3", "0", "1", "0", "1", "6", "9"],
        ["slow", "2", "1", "0", "1", "0", "4", "6"],
        *([name, "0", "0", "0", "0", "0", "0", "0"] for name in asleep),
    ]
    told = run("agents", "list", "--instances").stdout.splitlines()
    assert [line.split()[0] for line in told[1:]] == [one["path"], *(each["path"] for each in more)]
    assert len(json.loads(run("agents", "list", "--json").stdout)["items"]) == 5


def test_agents_that_stand_only_while_there_is_work_for_them_are_said_to_sleep_and_to_start(run: Run) -> None:
    assert run("agents", "show", "documentation").stdout.splitlines()[-1].startswith("asleep: ")
    assert run("agents", "restart", "documentation").stdout == "documentation  starting\n"


def test_a_limit_that_is_set_says_how_many_items_it_held_up(run: Run) -> None:
    done = run("budgets", "set", "agent:echo", "--daily", "20")
    assert (done.returncode, done.stderr) == (0, "1 item that it held up goes on\n")


def test_doctor_says_one_line_a_thing_with_the_daemon_up(run: Run) -> None:
    done = run("doctor")
    names = [line[6:21].strip() for line in done.stdout.splitlines()]
    assert names == ["settings", "daemon", "state directory", "journal", "agents", "provider", "sandbox", "systemd"]
    assert done.returncode == 0


def test_doctor_says_of_a_provider_that_was_not_asked_yet_that_it_was_not(served: Served, run: Run) -> None:
    served.room.providers.names = ("offline",)
    served.room.providers.reason = lambda: "it was not asked yet"
    said = run("doctor").stdout
    assert "note  provider         offline: a test; its key is from store; it was not asked yet -> `daruma prov" in said
    served.room.providers.state = "connected"
    assert "it was not asked yet" not in run("doctor").stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_doctor_looks_at_the_state_directory_of_the_daemon_that_answers_and_not_at_its_own_users(
    served: Served,
    run: Run,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    theirs = served.room.directory / "state"
    assert f"ok    state directory  {theirs}, " in run("doctor").stdout
    served.room.directory.chmod(0o755)
    served.path.chmod(0o666)
    monkeypatch.setenv("HOME", str(served.room.directory))
    request.addfinalizer(lambda: os.seteuid(0))
    os.seteuid(65534)
    main(["doctor", "--socket", str(served.path)])
    said = f"note  state directory  {theirs}, which is the daemon's user's to look into -> Run this as that user."
    assert said in capsys.readouterr().out


def test_doctor_says_which_settings_the_daemon_goes_by_where_it_was_given_others(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs, ours = tmp_path / "theirs.yaml", tmp_path / "ours.yaml"
    for each in (theirs, ours):
        each.write_text("queue: {max_items: 7}\n")
    monkeypatch.setenv("DARUMA_STATE_DIR", str(tmp_path / "state"))
    room.settings_file = theirs
    with serving(room) as served:
        for each in (theirs, ours):
            main(["doctor", "--config", str(each), "--socket", str(served.path)])
    same, other = (line for line in capsys.readouterr().out.splitlines() if line[6:].startswith("settings"))
    assert same == "ok    settings         2 set"
    says = f"read from {ours}, and the daemon's from {theirs} -> daruma doctor --config {theirs}"
    assert other == f"note  settings         {says}"


@pytest.mark.parametrize("more", ["", "queue: {max_itms: 7}\n"])
def test_doctor_looks_for_the_daemon_where_the_settings_file_says_also_where_that_is_wrong_elsewhere(
    served: Served, run: Run, tmp_path: Path, more: str
) -> None:
    file = tmp_path / "daruma.yaml"
    file.write_text(f"state_dir: {tmp_path / 'own'}\ncontrol: {{socket: {served.path}}}\n{more}")
    none = {"DARUMA_SOCKET": str(tmp_path / "none.sock"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    said = run("doctor", "--config", str(file), env=none).stdout
    assert f"at {served.path}\n" in said
    assert more or f"state directory  {served.room.directory / 'state'}, " in said
    named = run("doctor", "--config", str(file), "--socket", str(tmp_path / "named.sock")).stdout
    assert f"no daemon answers at {tmp_path / 'named.sock'}" in named


def test_a_variable_that_names_the_settings_file_leads_every_command_to_its_daemon(
    served: Served, run: Run, tmp_path: Path
) -> None:
    file, plain = tmp_path / "daruma.yaml", {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    file.write_text(f"state_dir: {tmp_path / 'own'}\ncontrol: {{socket: {served.path}}}\n")
    by_file = {**plain, "DARUMA_CONFIG": str(file)}
    assert run("version", env=by_file).stdout == run("version").stdout
    assert f"at {served.path}\n" in run("doctor", env=by_file).stdout
    for variable in ("DARUMA_SOCKET", "DARUMA_CONTROL__SOCKET"):
        named = run("status", env={**by_file, variable: str(tmp_path / "named.sock")})
        assert f"no daemon answers at {tmp_path / 'named.sock'}" in named.stderr


@pytest.mark.parametrize(
    ("wrong", "said", "code"),
    [
        (None, "note  journal          not looked at since the daemon started", 0),
        ((), "ok    journal          what was read of it after the start is as it was written", 0),
        (("the result of a is not what was written",), "BAD   journal          the result of a is not what was", 1),
    ],
)
def test_doctor_and_health_tell_what_a_check_of_the_journal_found(
    served: Served, run: Run, wrong: tuple[str, ...] | None, said: str, code: int
) -> None:
    served.room.journal_wrong = wrong
    done = run("doctor")
    assert said in done.stdout
    assert done.returncode == code
    told = run("health")
    assert told.returncode == 0
    assert ("!!   journal: the result of a" in told.stdout, "degraded" in told.stdout) == (bool(wrong), bool(wrong))


# --- without a daemon -------------------------------------------------------------------------------------------------


def test_without_a_daemon_a_command_ends_with_3_and_says_how_to_start_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["status", "--socket", str(tmp_path / "none.sock")]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "daruma serve" in said.err


def test_doctor_suggests_no_provider_where_none_is_wanted(run: Run, tmp_path: Path) -> None:
    (tmp_path / "daruma.yaml").write_text("provider: {use: offline}\n")
    done = run("doctor", "--config", str(tmp_path / "daruma.yaml"), "--socket", str(tmp_path / "none.sock"))
    assert "offline: the settings say offline\n" in done.stdout


def test_doctor_looks_for_a_provider_itself_when_no_daemon_is_up(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARUMA_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("DARUMA_PROVIDER__USE", "offline")
    assert main(["doctor", "--socket", str(tmp_path / "none.sock")]) == 0
    said = capsys.readouterr().out
    assert "offline: the settings say offline" in said
    assert "will be made at the first start" in said


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (None, "note  sandbox          bubblewrap is not installed; "),
        ("exit 0", "ok    sandbox          {bwrap} works; "),
        ("echo no namespaces >&2; exit 1", "note  sandbox          {bwrap} does not work here: no namespaces; "),
    ],
)
def test_doctor_says_of_the_sandbox_that_nothing_needs_it_yet_and_advises_nothing(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str | None,
    said: str,
) -> None:
    bwrap = tmp_path / "bwrap"
    if program is not None:
        bwrap.write_text(f"#!/bin/sh\n{program}\n")
        bwrap.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DARUMA_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("DARUMA_PROVIDER__USE", "offline")
    assert main(["doctor", "--socket", str(tmp_path / "none.sock")]) == 0
    (line,) = [each for each in capsys.readouterr().out.splitlines() if "  sandbox  " in each]
    assert line.startswith(said.format(bwrap=bwrap) + "nothing needs it yet: ")
    assert "->" not in line, "nothing to do"


def test_doctor_ends_with_1_and_the_fix_when_something_is_in_the_way(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    monkeypatch.setenv("DARUMA_STATE_DIR", str(tmp_path / "open"))
    monkeypatch.setenv("DARUMA_PROVIDER__USE", "offline")
    assert main(["doctor", "--socket", str(tmp_path / "none.sock")]) == 1
    assert f"chmod 700 {tmp_path / 'open'}" in capsys.readouterr().out


def test_wrong_settings_are_named_all_at_once_and_end_with_78(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "daruma.yaml").write_text("executors:\n  cuont: 3\nitem:\n  timeout: soon\n")
    assert main(["config", "check", "--config", str(tmp_path / "daruma.yaml")]) == 78
    said = capsys.readouterr().err
    assert "executors.cuont" in said
    assert "item.timeout" in said


def test_the_settings_are_shown_with_where_each_came_from(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "daruma.yaml").write_text("executors:\n  count: 3\n")
    monkeypatch.setenv("DARUMA_ITEM__TIMEOUT", "5m")
    assert main(["config", "show", "--origin", "--config", str(tmp_path / "daruma.yaml")]) == 0
    said = capsys.readouterr().out
    assert "executors.count: 3  # daruma.yaml line 2" in said
    assert "item.timeout: 5m  # $DARUMA_ITEM__TIMEOUT" in said


@pytest.mark.parametrize("argv", [["nothing"], ["work", "list", "--state", "asleep"], ["submit"], ["work", "show"]])
def test_wrong_usage_ends_with_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, argv: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert main(argv) == 2
    assert capsys.readouterr().err


def test_a_daemon_called_wrongly_ends_with_64(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--nonsense"]) == 64
    assert capsys.readouterr().err


def test_elsewhere_than_on_linux_one_line_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert main(["status"]) == 78
    assert capsys.readouterr().err == "daruma runs on Linux; this is darwin.\n"


def test_a_daemon_of_another_version_is_told(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    from darumad.cli import online  # noqa: PLC0415 - what is patched

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(online, "__version__", "9.9.9")
        assert main(["status", "--socket", str(served.path)]) == 0
    assert "this is 9.9.9, the daemon is 0.1.0" in capsys.readouterr().err


def test_a_cancel_says_which_items_died_of_it(served: Served, run: Run) -> None:
    for name, after in (("one", []), ("two", ["one"]), ("three", ["two"])):
        served.client.submit({**CLEAR, "id": name, "depends_on": after})
    assert run("work", "cancel", "one").stdout == "one  cancelled\n  died of it: two\n  died of it: three\n"
    served.client.submit({**CLEAR, "id": "a", "labels": {"team": "x"}})
    served.client.submit({**CLEAR, "id": "b", "depends_on": ["a"]})
    assert run("work", "cancel", "--label", "team=x").stdout == "a  cancelled\n  died of it: b\n"


def test_coming_after_an_item_that_goes_nowhere_by_itself_is_said(served: Served, run: Run) -> None:
    run("submit", "just make it better", "--id", "vague")
    done = run("submit", TEXT, "--id", "later", "--success", "it is there", "--after", "vague")
    assert (done.returncode, done.stdout) == (0, "later  waiting\n")
    assert "daruma: it comes after vague, which is parked (challenge)" in done.stderr


@pytest.mark.parametrize("option", ["--type", "--until"])
def test_an_event_that_does_not_exist_is_not_waited_for(run: Run, option: str) -> None:
    done = run("events", "--follow", option, "work.succeded")
    assert done.returncode == 2
    assert "no event is called work.succeded; did you mean `work.succeeded`?" in done.stderr


def test_events_of_an_item_that_nobody_knows_are_refused(run: Run) -> None:
    done = run("events", "--item", "nobody")
    assert done.returncode == 4
    assert "no item is called nobody" in done.stderr


def test_a_list_of_the_items_of_no_agent_says_that_there_is_no_such_agent(served: Served, run: Run) -> None:
    done = run("work", "list", "--agent", "ech")
    assert done.returncode == 4
    assert "no agent is called ech; did you mean `echo`?" in done.stderr
    served.client.submit({**CLEAR, "id": "one"})
    del served.room.definitions[AgentName("echo")]
    assert "one" in run("work", "list", "--agent", "echo").stdout, "items of an agent that was"


def test_show_tells_what_kind_of_error_it_is_what_helps_and_what_each_attempt_failed_of(
    served: Served, run: Run
) -> None:
    run("submit", TEXT, "--id", "one", "--agent", "echo")
    served.room.die(hints=["The tool is not there."], recovery=["Look at its log."])
    shown = run("work", "show", "one", "--attempts").stdout
    assert re.search(r"^error +the tool broke\nkind +tool_error$", shown, re.MULTILINE)
    assert "\n  hint: The tool is not there.\n  to do: Look at its log.\n" in shown
    assert re.search(r"^attempt 1: tool_error .*\n  tool_error: the tool broke$", shown, re.MULTILINE)


def test_show_tells_what_was_asked_for_and_why_it_was_cancelled(served: Served, run: Run, tmp_path: Path) -> None:
    (tmp_path / "figures.csv").write_text("1,2\n")
    run("submit", TEXT, "--id", "one", "--agent", "echo", "--label", "team=a", "--priority", "7", "--phase", "analysis",
        "--input", str(tmp_path / "figures.csv"), "--requirement", "it has a table", "--success", "it is one page",
        input="")  # fmt: skip
    run("work", "cancel", "one", "--reason", "no longer needed")
    shown = run("work", "show", "one").stdout
    said = {line.split("  ")[0]: line.split("  ")[-1].strip() for line in shown.splitlines() if line[0] != " "}
    assert (said["priority"], said["phase"], said["labels"]) == ("7", "analysis", "team=a")
    assert (said["inputs"], said["done when"]) == ("figures.csv", "it is one page")
    assert said["cancelled by"].endswith(": no longer needed")
    assert "  requirement: it has a table\n" in shown


def test_every_provider_that_is_used_is_asked_when_none_is_named(run: Run) -> None:
    done = run("providers", "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["PROVIDER", "far"]
    assert [each["state"] for each in json.loads(run("providers", "check", "--json").stdout)["items"]] == ["connected"]


def test_providers_are_asked_all_at_once_and_told_in_their_order(served: Served, run: Run) -> None:
    names = ("slow", "fast", "far")
    served.room.providers.names = names  # none of them answers before all were asked
    done = run("providers", "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["PROVIDER", *names]


def test_who_waits_for_a_provider_that_hangs_is_told_so_and_who_gives_up_is_kept_by_nobody(served: Served) -> None:
    served.room.providers.names = ("far", "never asked")  # so that the one that is asked does not answer
    command = [*INTERRUPTIBLE, "-m", "darumad", "providers", "check", "far", "--socket", str(served.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asking:
        eventually(lambda: served.room.providers.asked == {"far"})
        assert asking.stderr is not None
        told = asking.stderr.readline()
        assert told == "daruma: far is still being asked; waiting for its answer up to 28 s more\n"
        asking.send_signal(signal.SIGINT)
        assert asking.wait(WITHIN) == 130


def test_an_estimate_of_unknown_price_says_so_and_what_would_come_of_it(served: Served, run: Run) -> None:
    served.room.purse.priced_only = True
    done = run("submit", "--estimate", TEXT)
    assert done.returncode == 0
    assert "1000 tokens, 1 call, at an unknown price" in done.stdout
    assert "daruma: it would be parked: the price of far:m is not known" in done.stderr
