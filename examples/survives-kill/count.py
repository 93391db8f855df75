"""Counts, from the witness's own lines and from the results, what became of the batch.

Ends with 1 if anything is wrong.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

ITEMS, STEPS, SLOTS = 16, 3, 8

begun = Counter(Path(sys.argv[1]).read_text().splitlines())
again = sum(count - 1 for count in begun.values())
listed = json.loads(
    subprocess.run(
        ["daruma", "work", "list", "--label", "wall=north", "--json"],
        check=True,
        capture_output=True,
    ).stdout
)
states = Counter(item["state"] for item in listed["items"])

print(f"accepted: {ITEMS}, succeeded: {states['succeeded']}, lost: {ITEMS - sum(states.values())}")
print(f"steps of the items: {ITEMS * STEPS}, done: {len(begun)}")
print(
    f"begun a second time: {again}, of at most {SLOTS} that were under way"
    if again <= SLOTS
    else f"begun a second time: {again}; only {SLOTS} were under way, so finished steps were repeated"
)
sys.exit(0 if states["succeeded"] == ITEMS and len(begun) == ITEMS * STEPS and again <= SLOTS else 1)
