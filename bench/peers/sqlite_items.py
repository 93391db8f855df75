"""The floor: the standard library's sqlite3 as a queue. Enqueue, lease and complete are a commit each, fully synced."""

import json
import sqlite3
import sys
import time
from contextlib import closing

COUNT = 600
TABLE = "CREATE TABLE item (id INTEGER PRIMARY KEY, state TEXT, payload TEXT, result TEXT)"
LEASE = (
    "UPDATE item SET state = 'running' WHERE id = (SELECT id FROM item WHERE state = 'ready' ORDER BY id LIMIT 1)"
    " RETURNING id"
)


def main(path: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for each in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            TABLE,
            "CREATE INDEX s ON item (state, id)",
        ):
            db.execute(each)
        began = time.perf_counter()
        for _ in range(COUNT):
            db.execute("INSERT INTO item (state, payload) VALUES ('ready', ?)", ("x" * 200,))
            ((item,),) = db.execute(LEASE).fetchall()
            db.execute("UPDATE item SET state = 'done', result = ? WHERE id = ?", ("y" * 200, item))
        print(json.dumps(COUNT / (time.perf_counter() - began)))


if __name__ == "__main__":
    main(sys.argv[1])
