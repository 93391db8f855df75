"""The command `daruma sim`: opens the listeners, says where they are, serves until told to stop.

Their ports are one JSON line on stdout, for programs; their addresses are told to people on stderr.
"""

import argparse
import asyncio
import errno
import json
import re
import signal
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from darumad.sim.fitting import Unfit, said_in
from darumad.sim.reading import KNOWN_FAULTS, TURN, WHEN, scenario_of
from darumad.sim.scenario import Fault, Scenario
from darumad.sim.server import Listener, Simulator
from darumad.sim.vendor import VENDORS

_USAGE = 2
_OF_STDOUT = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_LAST_PORT = 65_535
_NAME = re.compile(rf"({'|'.join(VENDORS)})(-[\w.-]+)?")
_ADDRESS = re.compile(r"(127\.0\.0\.1|localhost)?:?([0-9]{1,5})")
_NEXT = "`daruma sim --help` names the options, the keys of a rule, and every fault"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the simulator; its exit code: 0 after a signal, 2 for a wrong invocation or scenario."""
    arguments = _parser().parse_args(argv)
    try:
        _refuse_nameless(arguments.model or ())
        listeners = [_listener(each) for each in arguments.listen or [f"{each}=:0" for each in VENDORS]]
        _refuse_twice([each.name for each in listeners])
        scenario = _scenario(arguments.scenario, arguments.seed, [each.name for each in listeners])
        return asyncio.run(_serve(listeners, Listener("admin", _port(arguments.admin)), scenario, arguments.model))
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in _OF_STDOUT:
            raise  # nobody reads the ports, or they find no room: the command line ends as it does for any command
        told = [f"daruma sim: {each}" for each in said_in(error)]
        print(*told, f"  -> {_NEXT}", sep="\n", file=sys.stderr)  # noqa: T201 - a command's message
        return _USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="daruma sim",
        description="Simulates model providers, faults included.",
        epilog=_rules_in_words(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--listen",
        action="append",
        metavar="NAME=:PORT",
        help="where to listen, on 127.0.0.1; NAME is anthropic, ollama or openai, or one of them, a dash and what you "
        "like; without `=:PORT` a free port is taken and told (default: each of the three)",
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
    told = {
        "a rule": ["id", "when", "then"],
        "when": WHEN,
        "then": ["reply", "script", "fault", "latency", "per_frame", "gate"],
        "a reply": sorted(TURN),
        "a fault": KNOWN_FAULTS,
        "beside a fault": [each for each in Fault.__dataclass_fields__ if each != "name"],
    }
    lines = (textwrap.fill(f"{what}: {', '.join(words)}", 80, subsequent_indent="  ") for what, words in told.items())
    return "\n".join(("what a scenario says:", *lines))


def _listener(text: str) -> Listener:
    name, said, address = text.partition("=")
    if not _NAME.fullmatch(name):
        vendors = ", ".join(VENDORS)
        raise ValueError(f"{text!r} is no `NAME=:PORT`: a listener's name begins with one of {vendors}, as in ollama-b")
    return Listener(name, _port(address) if said else 0)


def _refuse_twice(names: Sequence[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two listeners are called {twice}: add to the vendor's name, as in {twice}-b")


def _refuse_nameless(models: Sequence[str]) -> None:
    if not all(each.strip() and each.isprintable() for each in models):
        raise ValueError("--model must be a model's name, on one line")


def _port(address: str) -> int:
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found[2]) > _LAST_PORT:
        raise ValueError(f"{address!r} is no `:PORT` from 0 to {_LAST_PORT}; only 127.0.0.1 is listened at")
    return int(found[2])


def _scenario(path: Path | None, seed: int | None, listeners: Sequence[str]) -> Scenario:
    if path is None:
        return Scenario(seed=seed or 0)
    import yaml  # noqa: PLC0415 - only with a file

    try:
        document = yaml.safe_load(path.read_text())
        scenario = scenario_of(document, listeners)
    except (yaml.YAMLError, ValueError) as error:
        raise Unfit(*(f"{path}: {each}" for each in said_in(error))) from error
    except RecursionError:
        raise ValueError(f"{path}: it lies too deep") from None
    return scenario if seed is None else replace(scenario, seed=seed)


async def _serve(
    listeners: Sequence[Listener], admin: Listener, scenario: Scenario, models: Sequence[str] | None
) -> int:
    simulator = Simulator(scenario, models=models or ())
    try:
        _tell({each.name: await simulator.listen(each) for each in (*listeners, admin)})
        await _told_to_stop()
    finally:
        await simulator.close()
    return 0


def _tell(ports: Mapping[str, int]) -> None:
    for name, port in ports.items():
        print(f"daruma sim: {name} is at http://127.0.0.1:{port}", file=sys.stderr)  # noqa: T201 - said to people
    print(json.dumps(ports), flush=True)  # noqa: T201 - the command's answer


async def _told_to_stop() -> None:
    stop = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    await stop.wait()
