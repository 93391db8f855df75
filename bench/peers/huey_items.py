"""Huey on SQLite as it comes: its consumer in a process of its own, one worker, a task that returns its argument."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from huey import SqliteHuey

COUNT = 300
huey = SqliteHuey("peer", filename=os.environ["PEER_FILE"])


@huey.task()
def again(number: int) -> int:
    return number


def main() -> None:
    from bench.peers.huey_items import again  # noqa: PLC0415 - Huey names a task after the module it came from

    command = [Path(sys.executable).with_name("huey_consumer"), "bench.peers.huey_items.huey", "-w", "1", "-q"]
    consumer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        again(0)(blocking=True, timeout=60)
        began = time.perf_counter()
        for each in [again(number) for number in range(COUNT)]:
            each.get(blocking=True, backoff=1.0, max_delay=0.01, timeout=60)
        print(json.dumps(COUNT / (time.perf_counter() - began)))
    finally:
        consumer.kill()
        consumer.wait()


if __name__ == "__main__":
    os.environ["PEER_FILE"] = sys.argv[1]
    main()
