import asyncio
import os
import sys
from pathlib import Path

import pytest

from darumad.agents import ToolFailed
from darumad.agents.subprocesses import _run, ask_module

HOLDS_A_PIPE = """
import subprocess, sys
pipe = open(sys.argv[1], "w")
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], pass_fds=[pipe.fileno()])
pipe.write("started\\n"); pipe.flush()
child.wait()
"""


async def test_a_cancelled_caller_takes_the_process_and_all_it_started_with_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    task = asyncio.create_task(_run((sys.executable, "-I", "-c", HOLDS_A_PIPE, str(pipe)), b""))
    with await asyncio.to_thread(pipe.open) as reader:
        assert await asyncio.to_thread(reader.readline) == "started\n"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # the pipe ends only when the last process that holds its other end is gone
        assert await asyncio.wait_for(asyncio.to_thread(reader.read), 20) == ""


async def test_nothing_of_our_environment_goes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-marker")
    said, _, code = await _run((sys.executable, "-I", "-c", "import os; print(sorted(os.environ))"), b"")
    assert code == 0
    assert b"ANTHROPIC" not in said


async def test_much_output_on_both_pipes_does_not_block_it() -> None:
    noisy = "import sys; sys.stderr.write('e' * 10**6); sys.stdout.write('o' * 10**6)"
    said, errors, code = await _run((sys.executable, "-I", "-c", noisy), b"")
    assert (len(said), len(errors), code) == (10**6, 10**6, 0)


async def test_a_program_that_fails_is_told_with_the_end_of_what_it_said() -> None:
    with pytest.raises(ToolFailed, match="No module named"):
        await ask_module("darumad.no_such_module", {})


async def test_a_program_that_prints_no_json_is_told() -> None:
    with pytest.raises(ToolFailed, match="printed no JSON"):
        await ask_module("this", {})
