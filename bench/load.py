"""Load on a control socket, as cheap as a client can make it: prepared requests on kept connections, one process.

`python -m bench.load SOCKET CLIENTS BATCH SECONDS` prints JSON: items accepted, in all and a second, and the slowest
hundredth of the answers in milliseconds. Each client waits for its answer before it asks again.
"""

import asyncio
import json
import os
import sys
import time

import uvloop

LATER = 4_000_000_000_000
"""Nothing is due: what is measured is accepting, not working."""


class Caller(asyncio.Protocol):
    """One client. `until` is monotonic seconds."""

    def __init__(self, number: int, batch: int, until: float) -> None:
        self._name, self._batch, self._until = f"{os.getpid()}-{number}", batch, until
        self._asked = 0
        self._begun = 0.0
        self._got = b""
        self.took: list[float] = []
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport) -> None:
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, found, body = self._got.partition(b"\r\n\r\n")
        if not found:
            return
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if len(body) < length:
            return
        if not head.startswith(b"HTTP/1.1 2"):
            self.ended.set_exception(RuntimeError(body.decode()))
            return
        self._got = b""
        now = time.perf_counter()
        self.took.append(now - self._begun)
        if now < self._until:
            self._ask()
        else:
            self._transport.close()
            self.ended.set_result(None)

    def _ask(self) -> None:
        items = [self._item(each) for each in range(self._batch)]
        path, what = ("/v1/work", items[0]) if self._batch == 1 else ("/v1/batch", {"items": items})
        body = json.dumps(what).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._asked += 1
        self._begun = time.perf_counter()
        self._transport.write(head.encode() + body)

    def _item(self, number: int) -> dict[str, object]:
        name = f"{self._name}-{self._asked}-{number}"
        return {"id": name, "description": "say it again", "agent": "echo", "run_at": LATER, "challenge": False}


async def load(socket: str, clients: int, batch: int, seconds: float) -> dict[str, float]:
    """What so many clients get accepted."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    callers = [Caller(number, batch, began + seconds) for number in range(clients)]
    for each in callers:
        await loop.create_unix_connection(lambda each=each: each, socket)
    await asyncio.gather(*(each.ended for each in callers))
    took = sorted(each for caller in callers for each in caller.took)
    return {
        "items": len(took) * batch,
        "per_second": len(took) * batch / (time.perf_counter() - began),
        "p99_ms": took[int(len(took) * 0.99)] * 1000,
    }


if __name__ == "__main__":
    given = sys.argv[1:]
    print(json.dumps(uvloop.run(load(given[0], int(given[1]), int(given[2]), float(given[3])))))
