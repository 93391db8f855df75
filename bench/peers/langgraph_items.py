"""LangGraph with its SqliteSaver: a graph of four nodes, a checkpoint behind each, a thread an item."""

import json
import sqlite3
import sys
import time
from contextlib import closing
from itertools import pairwise
from typing import TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

COUNT = 100
NODES = ("plan", "context", "execute", "review")


class State(TypedDict, total=False):
    words: str


def main(path: str) -> None:
    graph = StateGraph(State)
    for name in NODES:
        graph.add_node(name, lambda _: {"words": "x" * 50})
    for one, other in pairwise((START, *NODES, END)):
        graph.add_edge(one, other)
    with closing(sqlite3.connect(path, check_same_thread=False)) as db:
        app = graph.compile(checkpointer=SqliteSaver(db))
        app.invoke({"words": ""}, {"configurable": {"thread_id": "warm"}})
        began = time.perf_counter()
        for number in range(COUNT):
            app.invoke({"words": ""}, {"configurable": {"thread_id": str(number)}}, durability="sync")
        print(json.dumps(COUNT / (time.perf_counter() - began)))


if __name__ == "__main__":
    main(sys.argv[1])
