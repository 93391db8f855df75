"""The model server of a campaign: the simulator, with a random word in every reply, and a log of who was told what.

Run as a program it prints its URL and serves until its input ends; then it writes its log and is gone.
"""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from darumad.sim import Fault, Reply, Rule, Simulation, ToolUse, When
from darumad.sim.log import Attempt

REFUSED = "asks for what no model does"
"""What a description says whose model is to refuse it."""
SLOW = "takes its time"
"""What a description says whose model is slow: such an item is met at work."""
WORD = re.compile(r"said-[0-9a-f]{16}")
"""The random word of a reply, unlike any other reply's."""
INPUT, OUTPUT = 400, 60
NANO_USD = INPUT * 2_000 + OUTPUT * 10_000
"""What one call costs: claude-sonnet-5-5 at 2 and 10 USD for a million tokens."""
_TAKES, _LONG = 0.02, 0.6
_REVIEW = "You review finished work"
_JUDGED = {
    "gates": {each: {"verdict": "pass", "issues": []} for each in ("intent_satisfied", "completeness")},
    "requirements": [], "recommendations": ["said-{random}"], "suggested_tests": [],
}  # fmt: skip
_OK = 200


def rules(faults: float) -> tuple[Rule, ...]:
    """A dialogue of three replies and a judgement, with this share of the calls going wrong in one of three ways."""
    return (
        Rule(id="refuse", when=When(prompt_re=REFUSED), script=(_reply("I had rather not.", stop="refusal"),)),
        Rule(id="overload", when=When(p=faults), fault=Fault(name="http_status", code=529)),
        Rule(id="hang up", when=When(p=faults), fault=Fault(name="fin", phase="accept")),
        Rule(
            id="fall silent",
            when=When(p=faults / 2, max=6),
            script=(_reply("Well."),),
            fault=Fault(name="hang_body", after=2),
        ),
        _rule("judge", _REVIEW, _reply(json.dumps(_JUDGED))),
        _rule("third", "now the second part", _reply("It is done: said-{random}")),
        _rule("second", "now the first part", _reply("said-{random}, now the second part", writes="second.txt")),
        _rule("slow", SLOW, _reply("said-{random}, now the first part", writes="first.txt"), latency=_LONG),
        _rule("first", "", _reply("said-{random}, now the first part", writes="first.txt")),
    )


def _rule(name: str, said: str, reply: Reply, *, latency: float = _TAKES) -> Rule:
    return Rule(id=name, when=When(prompt_re=said), script=(reply,), latency=latency)


def _reply(text: str, *, writes: str | None = None, stop: str | None = None) -> Reply:
    calls = (ToolUse(name="write_file", args={"path": writes, "text": "A part of it."}),) if writes else ()
    return Reply(text=text, tool_calls=calls, stop=stop, input_tokens=INPUT, output_tokens=OUTPUT)


def log_of(attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    """The calls for items, in the words of `history.Call`."""
    return [_call(each) for each in attempts if each.rule and "-" in each.key]


def _call(each: Attempt) -> dict[str, Any]:
    asked = json.dumps(each.body)
    said = WORD.search(each.said)
    fine = each.fault is None and each.status == _OK
    return {
        "at": int(each.t_arrive * 1e9),
        "item": each.key,
        "stage": "reviewing" if _REVIEW in asked else "executing",
        "prompt": each.body_sha256,
        "heard": WORD.findall(asked),
        "said": said[0] if said and fine else f"nothing-{each.number}",
        "whole": fine and each.t_end is not None and each.client_disconnected_at is None,
        "fault": None if fine else (each.fault or str(each.status)),
        "nano_usd": NANO_USD if fine else 0,
    }


def main(log: Path, faults: float) -> None:
    """See the module."""
    with Simulation("anthropic") as simulation:
        simulation.play(*rules(faults))
        print(simulation.url("anthropic"), flush=True)
        sys.stdin.read()
        lines = [json.dumps(each) for each in log_of(simulation.attempts())]
    log.write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
