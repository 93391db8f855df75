"""The admin door, on every listener under `/_sim/`: the log, its figures, another scenario, gates."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from darumad.sim.granting import MINUTE
from darumad.sim.reading import scenario_of
from darumad.sim.stats import stats
from darumad.sim.wire import Answer, Request, json_answer, read_json

if TYPE_CHECKING:
    from darumad.sim.server import Simulator


def administer(simulator: "Simulator", request: Request) -> Answer:
    """Do what is asked at the door."""
    match request.method, request.path.removeprefix("/_sim/").split("/"):
        case "GET", ["log"]:
            return _told(simulator, dict(parse_qsl(request.query, keep_blank_values=True)))
        case "GET", ["stats"]:
            figures = stats(simulator.log.attempts(), MINUTE * simulator.scenario.pace)
            return json_answer(200, {**figures, "dropped": simulator.log.dropped})
        case "PUT", ["scenario"]:
            return _loaded(simulator, request.body)
        case "POST", ["reset"]:
            simulator.load(simulator.scenario)
        case "POST", ["gate", name, "release"]:
            return _released(simulator, name)
        case _:
            return json_answer(404, {"error": "no such operation"})
    return json_answer(200, {})


def _told(simulator: "Simulator", asked: Mapping[str, str]) -> Answer:
    since, body = asked.get("since", "0"), asked.get("body", "0")
    if asked.keys() - {"since", "body"} or not since.isdecimal() or body not in {"0", "1"}:
        return json_answer(400, {"error": "the log takes `since`, the number of an attempt, and `body=1`"})
    shown = [each.shown(body=body == "1") for each in simulator.log.attempts(int(since))]
    return json_answer(200, shown, {"x-sim-dropped": str(simulator.log.dropped)})


def _released(simulator: "Simulator", gate: str) -> Answer:
    gates = sorted({each.gate for each in simulator.scenario.rules if each.gate is not None})
    if gate not in gates:
        return json_answer(404, {"error": f"no rule has a gate {gate!r}; there are {', '.join(gates) or 'none'}"})
    simulator.release(gate)
    return json_answer(200, {})


def _loaded(simulator: "Simulator", body: bytes) -> Answer:
    try:
        document = read_json(body)
    except ValueError as error:
        return json_answer(400, {"error": f"`scenario` is no JSON: {error}"})
    try:
        scenario = scenario_of(document, simulator.listeners)
    except ValueError as error:
        return json_answer(400, {"error": str(error)})
    simulator.load(scenario)
    return json_answer(200, {"rules": len(scenario.rules)})
