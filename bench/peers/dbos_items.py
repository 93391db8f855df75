"""DBOS on SQLite: workflows of four steps, all started, then all awaited."""

import json
import sys
import time

from dbos import DBOS

COUNT = 200


@DBOS.step()
def step(number: int) -> int:
    return number


@DBOS.workflow()
def again(number: int) -> int:
    for _ in range(4):
        step(number)
    return number


def main(path: str) -> None:
    DBOS(config={"name": "peer", "system_database_url": f"sqlite:///{path}", "log_level": "ERROR"})
    DBOS.launch()
    again(-1)
    began = time.perf_counter()
    for handle in [DBOS.start_workflow(again, number) for number in range(COUNT)]:
        handle.get_result()
    print(json.dumps(COUNT / (time.perf_counter() - began)))
    DBOS.destroy()


if __name__ == "__main__":
    main(sys.argv[1])
