"""Model calls through the broker, beside the vendor's own client in the same run, against a simulator of its own.

1,000 calls of a second in flight at once, under the time limits that ship; what the broker adds to a call, in CPU, by
itself and with the two commits that a call is; what it adds to a piece of a stream; and how long a daemon that has
Anthropic configured takes to be ready. Each measurement is a process of its own.

A machine that has other work to do stretches every wall time, so those that are compared take turns, and of each the
best round counts: what disturbs only takes. The CPU stands beside it and decides nothing.
"""

import asyncio
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from unittest.mock import patch

import anthropic
import httpx2

from bench.filled import AUDIT, ROOM, WITHIN, new_items, opened
from bench.yardstick import cpu_of, speed
from darumad.agents.providers import BUCKETS, Broker, Credential, ProviderConfig, ProviderSpec, half
from darumad.agents.providers.client import load
from darumad.agents.providers.tls import tls
from darumad.bridge.ledger import JournalLedger
from darumad.bus import Tally
from darumad.clock import SystemClock
from darumad.control.client import Client
from darumad.errors import Unavailable
from darumad.ids import uuid7
from darumad.journal import Accept, Claim, Journal, Note, Slot
from darumad.journal.commits import Commits
from darumad.names import AgentName, ItemId, NanoUsd, Stage
from darumad.work.allowance import Allowance, Caps
from darumad.work.budget import EVERYTHING
from darumad.work.item import Limits
from darumad.work.model import Message, ModelReply, ModelRequest
from darumad.work.ports import Ledger, Owner
from darumad.work.result import Usage

AT_ONCE, CALLS, PIECES, ROUNDS = 1_000, 1_000, 3_000, 5
ITEMS = 50
"""So many have calls in flight while these are also booked."""
MODELS = {"anthropic": "claude-haiku-4-5", "ollama": "llama3.2"}
LETTERS = 24
"""As many as the simulator puts in a piece."""
LONG = LETTERS * PIECES
"""More tokens than any answer here has."""
WALL_GOAL, OLLAMA_GOAL, MEMORY_GOAL, CALL_GOAL, PIECE_GOAL, COLD_GOAL = 1.3, 3.0, 180.0, 150.0, 30.0, 0.5
SCENARIO = f"""
rules:
  - id: slow
    when: {{prompt_re: "^slow"}}
    then: {{reply: {{text: fine}}, latency: 1.0}}
  - id: long
    when: {{prompt_re: "^long"}}
    then: {{reply: {{text: "{"w" * LETTERS * PIECES}"}}}}
  - id: quick
    then: {{reply: {{text: fine}}}}
"""
ASKED = {
    word: ModelRequest(messages=(Message(role="user", text=word),), max_tokens=LONG)
    for word in ("slow", "long", "quick")
}


class Books:
    """A ledger that grants everything. It is asked for each try, so it knows of those that were made in silence."""

    def __init__(self):
        self.tries = 0

    async def reserve(self, *_, **__):
        self.tries += 1
        return "r"

    def settle(self, *_):
        pass


@contextmanager
def simulated():
    """The simulator in a process of its own; its URLs by vendor."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as scenario:
        scenario.write(SCENARIO)
        scenario.flush()
        command = [sys.executable, "-c", "from darumad.sim import main; main()", "--scenario", scenario.name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                ports = json.loads(process.stdout.readline())
                yield {name: f"http://127.0.0.1:{ports[name]}" for name in MODELS}
            finally:
                process.terminate()


def brokered(vendor: str, url: str):
    """One call through the broker, as a function of its request, and how to close it: every call takes one try."""
    books, numbers = Books(), count()
    broker = _broker(vendor, url, books)

    async def close() -> None:
        calls = next(numbers)
        assert books.tries == calls, f"{books.tries} tries for {calls} calls"
        await broker.close()

    return lambda word: broker.complete_for(Owner(ItemId(f"i{next(numbers)}"), 1), "bench")(ASKED[word]), close


def _broker(vendor: str, url: str, ledger: Ledger) -> Broker:
    spec = ProviderSpec(kind=vendor, base_url=url, model=MODELS[vendor], concurrency=AT_ONCE, num_ctx=1_000_000)
    config = ProviderConfig(use=vendor, providers={vendor: spec}, max_in_flight=AT_ONCE)
    key = {"anthropic": Credential("sk-bench")}
    return Broker(config, ledger, SystemClock(), _Draws(), Tally(BUCKETS), lambda _: None, _ids(), key)


def _ids():
    """As the daemon makes them."""
    clock, rng = SystemClock(), random.Random()
    return lambda: uuid7(clock.wall(), rng.getrandbits)


class _Draws:
    def random(self) -> float:
        return 0.5


def bare(vendor: str, url: str):
    """The same over the same adapter's client with no broker around it: the vendor's client, as it is set up here."""
    timeout = httpx2.Timeout(120, connect=5, pool=60, write=30)
    http = anthropic.DefaultAioHttpClient(
        trust_env=False, verify=tls(), timeout=timeout, limits=httpx2.Limits(max_connections=AT_ONCE + 16)
    )
    client = anthropic.AsyncAnthropic(
        api_key="sk-bench", base_url=url, http_client=http, max_retries=0, timeout=timeout, open_telemetry=False
    )

    async def call(word: str) -> None:
        body = {"model": MODELS[vendor], "max_tokens": 1_000, "messages": [{"role": "user", "content": word}]}
        async with await client.messages.create(**body, stream=True) as stream:
            async for raw in stream.raw_events(stream.response):
                json.loads(raw.data)

    return call, client.close


class AtOnce:
    """A client that answers at once: what is left is the broker."""

    async def complete(self, _, __, watch):
        watch.event()
        return ModelReply(text="fine", usage=Usage(calls=1))

    async def close(self):
        pass


async def added() -> dict[str, float]:
    """Seconds of CPU that the broker takes for `CALLS` calls, the best of five rounds."""
    with patch.object(half, "build", lambda *_: AtOnce()):
        call, close = brokered("anthropic", "http://nobody")
        best = min([await _round(call) for _ in range(5)])
    await close()
    return {"cpu": best}


async def booked() -> dict[str, float]:
    """The same of the whole process with the daemon's own ledger: a commit before each call, and one after it."""
    with tempfile.TemporaryDirectory(prefix="daruma-") as home, patch.object(half, "build", lambda *_: AtOnce()):
        journal = opened(Path(home, "state"))
        owners = _running(journal)
        commits = Commits(journal.post, asyncio.get_running_loop())
        allowance = Allowance(caps={EVERYTHING: Caps(daily=Limits(nano_usd=NanoUsd(10**15)))})
        ledger = JournalLedger(commits, SystemClock(), new_id=_ids(), allowance=allowance)
        broker = _broker("anthropic", "http://nobody", ledger)
        best = min([await _booked_round(broker, commits, owners) for _ in range(5)])
        await broker.close()
        journal.close(WITHIN)
    return {"cpu": best}


def _running(journal: Journal) -> list[Owner]:
    """The owners of so many items that were claimed."""
    journal.call(Accept(items=new_items("i", ITEMS), audit=AUDIT, max_unfinished=ROOM), WITHIN)
    slots = tuple(Slot(AgentName("echo"), Stage.EXECUTING, f"bench/{number}#1") for number in range(ITEMS))
    held = journal.call(Claim(slots=slots), WITHIN).held
    assert len(held) == ITEMS
    return [Owner(each.record.item.id, each.record.fence) for each in held]


async def _booked_round(broker: Broker, commits: Commits, owners: list[Owner]) -> float:
    async def calls(owner: Owner) -> None:
        call = broker.complete_for(owner, "bench")
        for _ in range(CALLS // ITEMS):
            await call(ASKED["quick"])

    began = time.process_time()
    await asyncio.gather(*map(calls, owners))
    await commits.commit(Note(facts=()))  # behind the last settlement
    return time.process_time() - began


async def _round(call) -> float:
    began = time.process_time()
    for _ in range(CALLS):
        await call("quick")
    return time.process_time() - began


async def _measured(make, what: str, vendor: str, url: str) -> dict[str, float]:
    load(vendor)
    call, close = make(vendor, url)
    await call("quick")
    began, cpu = time.perf_counter(), time.process_time()
    if what == "at_once":
        await asyncio.gather(*(call("slow") for _ in range(AT_ONCE)))
    else:
        said = await call("long")
        assert len(said.text) == LETTERS * PIECES
    took, used = time.perf_counter() - began, time.process_time() - cpu
    await close()
    return {"seconds": took, "cpu": used, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _in_a_process(way: str, what: str, vendor: str, url: str) -> dict[str, float]:
    """What such a process measured.

    Raises:
        SystemExit: it failed; says what it said.
    """
    command = [sys.executable, "-m", "bench.providers", way, what, vendor, url]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"providers: `{' '.join(command[1:])}` ended with {ended.returncode}:\n{ended.stderr}")
    return json.loads(ended.stdout)


def cold_start() -> tuple[float, float]:
    """Seconds from the start of a daemon with Anthropic configured until it answers that it is ready, and of CPU.

    The best of three.
    """
    starts = [_started_once() for _ in range(3)]
    return min(wall for wall, _ in starts), min(cpu for _, cpu in starts)


def _import_of_the_sdk() -> float:
    """Seconds of CPU; the best of three."""
    said = "import time, anthropic, anthropic.types; print(time.process_time())"
    return min(float(subprocess.check_output([sys.executable, "-c", said])) for _ in range(3))


def _started_once() -> tuple[float, float]:
    with tempfile.TemporaryDirectory(prefix="daruma-") as home:
        socket = Path(home, "s")
        environ = {
            "PATH": os.environ["PATH"], "HOME": home, "ANTHROPIC_API_KEY": "sk-bench",
            "DARUMA_STATE_DIR": f"{home}/state", "DARUMA_CONTROL__SOCKET": str(socket),
        }  # fmt: skip
        began = time.perf_counter()
        with subprocess.Popen(
            [Path(sys.executable).with_name("daruma"), "serve"], env=environ, stderr=subprocess.DEVNULL
        ) as process:
            client = Client(socket)
            while time.perf_counter() - began < 30:
                try:
                    if client.call("health")["ready"]:
                        break
                except Unavailable:
                    time.sleep(0.002)
            took = time.perf_counter() - began, cpu_of(process.pid)
            client.close()
            process.terminate()
            process.wait(30)
        return took


def row() -> bool:
    """Measure, print, and say whether the goals were met."""
    with simulated() as urls:
        bare, broker, ollama = _in_turn(urls)
        pieces = _in_a_process("broker", "pieces", "anthropic", urls["anthropic"])
    at_once = (_at_once(bare, broker), _ollama(ollama))
    return all((*at_once, _added(pieces["cpu"] / PIECES * 1e6), _cold()))


def _in_turn(urls: dict[str, str]) -> list[dict[str, float]]:
    """The thousand calls through the bare client, through the broker, and so with Ollama: the best of each."""
    those = (("bare", "anthropic"), ("broker", "anthropic"), ("broker", "ollama"))
    rounds = [[_in_a_process(way, "at_once", name, urls[name]) for way, name in those] for _ in range(ROUNDS)]
    return [{key: min(each[key] for each in one) for key in one[0]} for one in zip(*rounds, strict=True)]


def _at_once(bare: dict[str, float], broker: dict[str, float]) -> bool:
    wall, cpu = broker["seconds"] / bare["seconds"], broker["cpu"] / bare["cpu"]
    print(
        f"providers: 1,000 calls of 1 s at once, 0 failed: {broker['seconds']:.2f} s, {wall:.2f} x the bare client's"
        f" {bare['seconds']:.2f} s (goal {WALL_GOAL} x); {broker['cpu']:.2f} s of CPU, {cpu:.2f} x its"
        f" {bare['cpu']:.2f} s; {broker['mb']:.0f} MB (goal {MEMORY_GOAL:.0f}; the bare client {bare['mb']:.0f})"
    )
    return wall <= WALL_GOAL and broker["mb"] <= MEMORY_GOAL


def _ollama(measured: dict[str, float]) -> bool:
    print(
        f"providers: the same with Ollama: {measured['seconds']:.2f} s (goal {OLLAMA_GOAL:.0f} s; 27 s with its"
        f" client's own pool); {measured['cpu']:.2f} s of CPU"
    )
    return measured["seconds"] <= OLLAMA_GOAL


def _added(per_piece: float) -> bool:
    per_call, goal = _in_a_process("added", "", "", "")["cpu"] / CALLS * 1e6, CALL_GOAL / max(1.0, speed())
    with_commits = _in_a_process("booked", "", "", "")["cpu"] / CALLS * 1e6
    print(
        f"providers: the broker adds {per_call:.0f} us of CPU to a call (goal {CALL_GOAL:.0f}, at this machine's speed"
        f" {goal:.0f}); with its two commits, {ITEMS} calls in flight, {with_commits:.0f} us (goal {CALL_GOAL:.0f})"
    )
    print(f"providers: {per_piece:.0f} us of CPU a piece of a stream (goal {PIECE_GOAL:.0f})")
    return per_call <= goal and with_commits <= CALL_GOAL and per_piece <= PIECE_GOAL


def _cold() -> bool:
    (wall, cpu), sdk = cold_start(), _import_of_the_sdk()
    print(
        f"providers: ready {wall:.2f} s after the start, with Anthropic configured (goal {COLD_GOAL} s), {cpu:.2f} s of"
        f" CPU: {cpu / sdk:.2f} x what importing the SDK takes, {sdk:.2f} s"
    )
    return wall <= COLD_GOAL


if __name__ == "__main__":
    _, _way, _what, _vendor, _url = sys.argv
    _by_itself = {"added": added, "booked": booked}.get(_way)
    _run = _by_itself() if _by_itself else _measured(bare if _way == "bare" else brokered, _what, _vendor, _url)
    print(json.dumps(asyncio.run(_run)))
