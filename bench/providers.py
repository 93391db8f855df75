"""Model calls through the broker, beside the vendor's own client in the same run, against a simulator of its own.

1,000 calls of a second in flight at once; what the broker adds to a call and to a piece of a stream, in CPU; and how
long a daemon with Anthropic configured takes to be ready. Each measurement is a process of its own.
"""

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import anthropic
import httpx2

from darumad.agents.providers import BUCKETS, Broker, Credential, Limits, ProviderConfig, ProviderSpec, half
from darumad.agents.providers.client import load
from darumad.agents.providers.tls import tls
from darumad.bus import Tally
from darumad.clock import SystemClock
from darumad.control.client import Client
from darumad.errors import Unavailable
from darumad.names import ItemId, Seconds
from darumad.work.model import Message, ModelReply, ModelRequest
from darumad.work.ports import Owner
from darumad.work.result import Usage

AT_ONCE, CALLS, PIECES = 1_000, 1_000, 3_000
MODELS = {"anthropic": "claude-haiku-4-5", "ollama": "llama3.2"}
WALL_GOAL, OLLAMA_GOAL, MEMORY_GOAL, CALL_GOAL, PIECE_GOAL, COLD_GOAL = 1.3, 3.0, 180.0, 150.0, 30.0, 0.5
SCENARIO = f"""
rules:
  - id: slow
    when: {{prompt_re: "^slow"}}
    then: {{reply: {{text: fine}}, latency: 1.0}}
  - id: long
    when: {{prompt_re: "^long"}}
    then: {{reply: {{text: "{"w" * 24 * PIECES}"}}}}
  - id: quick
    then: {{reply: {{text: fine}}}}
"""
ASKED = {
    word: ModelRequest(messages=(Message(role="user", text=word),), max_tokens=1_000)
    for word in ("slow", "long", "quick")
}
LIMITS = Limits(connect=Seconds(30), first_token=Seconds(60), idle=Seconds(60), total=Seconds(120), queue=Seconds(60))


class Books:
    """A ledger that grants everything."""

    async def reserve(self, *_, **__):
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
    """One call through the broker, as a function of its request, and how to close it."""
    spec = ProviderSpec(
        kind=vendor, base_url=url, model=MODELS[vendor], concurrency=AT_ONCE, limits=LIMITS, num_ctx=1_000_000
    )
    config = ProviderConfig(use=vendor, providers={vendor: spec}, max_in_flight=AT_ONCE)
    key = {"anthropic": Credential("sk-bench")}
    broker = Broker(config, Books(), SystemClock(), _Draws(), Tally(BUCKETS), key)
    numbers = iter(range(10**9))
    return lambda word: broker.complete_for(Owner(ItemId(f"i{next(numbers)}"), 1), "bench")(ASKED[word]), broker.close


class _Draws:
    def random(self) -> float:
        return 0.5


def bare(vendor: str, url: str):
    """The same over the same adapter's client with no broker around it: the vendor's client, as it is set up here."""
    timeout = httpx2.Timeout(120, connect=30, pool=60, write=30)
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

    async def complete(self, _, watch):
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
        await call("long")
    took, used = time.perf_counter() - began, time.process_time() - cpu
    await close()
    return {"seconds": took, "cpu": used, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _in_a_process(way: str, what: str, vendor: str, url: str) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.providers", way, what, vendor, url]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def cold_start() -> float:
    """Seconds from the start of a daemon with Anthropic configured until it answers that it is ready; the best of 3."""
    return min(_started_once() for _ in range(3))


def _started_once() -> float:
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
            took = time.perf_counter() - began
            client.close()
            process.terminate()
            process.wait(30)
        return took


def row() -> bool:
    """Measure, print, and say whether the goals were met."""
    with simulated() as urls:
        got = {
            (way, what): _in_a_process(way, what, "anthropic", urls["anthropic"])
            for what in ("at_once", "pieces")
            for way in ("bare", "broker")
        }
        ollama = _in_a_process("broker", "at_once", "ollama", urls["ollama"])
    wall = got["broker", "at_once"]["seconds"] / got["bare", "at_once"]["seconds"]
    per_call = _in_a_process("added", "", "", "")["cpu"] / CALLS * 1e6
    per_piece = got["broker", "pieces"]["cpu"] / PIECES * 1e6
    memory, cold = got["broker", "at_once"]["mb"], cold_start()
    print(
        f"providers: 1,000 calls of 1 s at once: {got['broker', 'at_once']['seconds']:.2f} s,"
        f" {wall:.2f} x the bare client's {got['bare', 'at_once']['seconds']:.2f} s (goal {WALL_GOAL} x),"
        f" {memory:.0f} MB (goal {MEMORY_GOAL:.0f})"
    )
    print(f"providers: the same with Ollama: {ollama['seconds']:.2f} s (goal {OLLAMA_GOAL:.0f} s)")
    print(f"providers: the broker adds {per_call:.0f} us of CPU to a call (goal {CALL_GOAL:.0f})")
    print(f"providers: {per_piece:.0f} us of CPU a piece of a stream (goal {PIECE_GOAL:.0f})")
    print(f"providers: ready {cold:.2f} s after the start, with Anthropic configured (goal {COLD_GOAL} s)")
    met = (
        wall <= WALL_GOAL, memory <= MEMORY_GOAL, ollama["seconds"] <= OLLAMA_GOAL,
        per_call <= CALL_GOAL, per_piece <= PIECE_GOAL, cold <= COLD_GOAL,
    )  # fmt: skip
    return all(met)


if __name__ == "__main__":
    _, _way, _what, _vendor, _url = sys.argv
    _run = added() if _way == "added" else _measured(bare if _way == "bare" else brokered, _what, _vendor, _url)
    print(json.dumps(asyncio.run(_run)))
