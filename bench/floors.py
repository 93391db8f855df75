"""What accepting and claiming cost with nothing of Daruma in them: the same libraries, the same promise, one table.

`python -m bench.floors SOCKET FILE` listens on SOCKET as a bare starlette app on uvicorn and uvloop: an item is parsed
and is a row of FILE, committed together with whatever else came meanwhile and fully synced, before it is answered. It
checks nothing, counts nothing and tells nobody. `claims` is a queue's claim as plain SQL.
"""

import asyncio
import sqlite3
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

MOST = 128
Posted = tuple[list[tuple[str, bytes]], asyncio.Future[None]]


def opened(file: Path) -> sqlite3.Connection:
    """A database that keeps what it was told to keep, and checkpoints when it is asked to."""
    db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    db.executescript("PRAGMA journal_mode = wal; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")
    return db


class Writer:
    """A thread that commits whatever came while it committed the last."""

    def __init__(self, file: Path) -> None:
        self._db = opened(file)
        self._db.execute("CREATE TABLE item (uid TEXT PRIMARY KEY, body BLOB)")
        self._queue: SimpleQueue[Posted] = SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    async def keep(self, rows: list[tuple[str, bytes]]) -> None:
        """Returns when the rows are on disk."""
        loop = asyncio.get_running_loop()
        kept: asyncio.Future[None] = loop.create_future()
        self._queue.put((rows, kept))
        await kept

    def _work(self) -> None:
        while True:
            posted = [self._queue.get()]
            while len(posted) < MOST and not self._queue.empty():
                posted.append(self._queue.get())
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT INTO item VALUES (?, ?)", [row for rows, _ in posted for row in rows])
            self._db.execute("COMMIT")
            posted[0][1].get_loop().call_soon_threadsafe(_answer, posted)


def _answer(posted: list[Posted]) -> None:
    for _, kept in posted:
        kept.set_result(None)


def app(writer: Writer) -> Starlette:
    """An item at `/v1/work`, many at `/v1/batch`, as `bench.load` sends them."""

    async def work(request: Request) -> Response:
        return await _accepted(writer, [orjson.loads(await request.body())])

    async def batch(request: Request) -> Response:
        return await _accepted(writer, orjson.loads(await request.body())["items"])

    return Starlette(routes=[Route("/v1/work", work, methods=["POST"]), Route("/v1/batch", batch, methods=["POST"])])


async def _accepted(writer: Writer, items: list[dict[str, object]]) -> Response:
    await writer.keep([(str(each["id"]), orjson.dumps(each)) for each in items])
    said = [{"id": each["id"], "created": True} for each in items]
    return Response(orjson.dumps({"items": said}), 201, media_type="application/json")


def claims(file: Path, ready: int, slots: int, count: int) -> list[float]:
    """Seconds of each claim of `slots` rows, payload and all, from `ready` rows of scattered rank."""
    with closing(opened(file)) as db:
        db.executescript(
            "CREATE TABLE item (id INTEGER PRIMARY KEY, state TEXT, rank INTEGER, holder TEXT, body TEXT);"
            f" WITH RECURSIVE each(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM each WHERE n < {ready})"
            " INSERT INTO item SELECT n, 'ready', n * 7919 % 1000003, NULL, hex(zeroblob(300)) FROM each;"
            " CREATE INDEX claim ON item (rank, id) WHERE state = 'ready';"
            " PRAGMA wal_checkpoint(TRUNCATE)"
        )
        return [_claimed(db, slots) for _ in range(count)]


def _claimed(db: sqlite3.Connection, slots: int) -> float:
    began = time.perf_counter()
    db.execute("BEGIN IMMEDIATE")
    db.execute(
        "UPDATE item SET state = 'running', holder = 'floor' WHERE id IN"
        " (SELECT id FROM item WHERE state = 'ready' ORDER BY rank, id LIMIT ?) RETURNING id, body",
        (slots,),
    ).fetchall()
    db.execute("COMMIT")
    return time.perf_counter() - began


def main(socket: str, file: str) -> None:
    """Serves until it is ended."""
    uvicorn.run(app(Writer(Path(file))), uds=socket, loop="uvloop", http="httptools", log_level="error", lifespan="off")


if __name__ == "__main__":
    main(*sys.argv[1:])
