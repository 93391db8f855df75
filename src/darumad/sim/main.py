"""The command `daruma sim`: opens the listeners, prints their ports as one JSON line, serves until told to stop."""

import argparse
import asyncio
import json
import signal
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from darumad.sim.reading import KNOWN_FAULTS, TURN, scenario_of
from darumad.sim.scenario import Fault, Scenario, When
from darumad.sim.server import Listener, Simulator
from darumad.sim.vendor import VENDORS

_USAGE = 2
_LAST_PORT = 65_535
_NEXT = "`daruma sim --help` names the options, the keys of a rule, and every fault"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the simulator; its exit code: 0 after a signal, 2 for a wrong invocation or scenario."""
    arguments = _parser().parse_args(argv)
    try:
        listeners = [_listener(each) for each in arguments.listen or [f"{each}=:0" for each in VENDORS]]
        _refuse_twice([each.name for each in listeners])
        scenario = _scenario(arguments.scenario, arguments.seed)
        return asyncio.run(_serve(listeners, Listener("admin", _port(arguments.admin)), scenario, arguments.model))
    except (OSError, ValueError) as error:
        print(f"daruma sim: {error}\n  -> {_NEXT}", file=sys.stderr)  # noqa: T201 - a command's message
        return _USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="daruma sim",
        description="Simulates model providers, faults included.",
        epilog=_rules_in_words(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--listen", action="append", metavar="NAME=:PORT", help="NAME begins with anthropic, ollama or openai"
    )
    parser.add_argument("--admin", default=":0", metavar=":PORT", help="where the log and the gates are (default: any)")
    parser.add_argument(
        "--scenario", type=Path, metavar="FILE", help="YAML or JSON rules; without it, each call is fine"
    )
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="a model that the listeners have, in place of those that their vendors have; may be given again",
    )
    parser.add_argument("--seed", type=int, help="the seed of chance, in place of the scenario's")
    return parser


def _rules_in_words() -> str:
    """What a rule may say, from what reads it. docs/reference/scenario.md says what each key means."""
    written = {"most": "max", "every": "nth"}
    told = {
        "a rule": ["id", "when", "then"],
        "when": dict.fromkeys(written.get(each, each) for each in When.__dataclass_fields__),
        "then": ["reply", "script", "fault", "latency", "per_frame", "gate"],
        "a reply": sorted(TURN),
        "a fault": KNOWN_FAULTS,
        "beside a fault": [each for each in Fault.__dataclass_fields__ if each != "name"],
    }
    lines = (textwrap.fill(f"{what}: {', '.join(words)}", 80, subsequent_indent="  ") for what, words in told.items())
    return "\n".join(("what a scenario says:", *lines))


def _listener(text: str) -> Listener:
    name, _, address = text.partition("=")
    return Listener(name, _port(address or ":0"))


def _refuse_twice(names: Sequence[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two listeners are called {twice}: add to the vendor's name, as in {twice}-b")


def _port(address: str) -> int:
    port = address.rpartition(":")[2]
    if not port.isdigit() or int(port) > _LAST_PORT:
        raise ValueError(f"{address!r} is no `:PORT` from 0 to {_LAST_PORT}")
    return int(port)


def _scenario(path: Path | None, seed: int | None) -> Scenario:
    if path is None:
        return Scenario(seed=seed or 0)
    import yaml  # noqa: PLC0415 - only with a file

    try:
        document = yaml.safe_load(path.read_text()) or {}
        scenario = scenario_of(document)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    return scenario if seed is None else replace(scenario, seed=seed)


async def _serve(
    listeners: Sequence[Listener], admin: Listener, scenario: Scenario, models: Sequence[str] | None
) -> int:
    simulator = Simulator(scenario, models=models or ())
    ports = {each.name: await simulator.listen(each) for each in (*listeners, admin)}
    print(json.dumps(ports), flush=True)  # noqa: T201 - the command's answer
    stop = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    await stop.wait()
    await simulator.close()
    return 0
