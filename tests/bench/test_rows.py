"""The rows of `bench` measure the house as it is now; how fast it is stands in their output, never in a test."""

import json
import subprocess
import sys


def test_the_walk_takes_every_item_to_its_end() -> None:
    measure = "import json; from bench.walk import measure; print(json.dumps(measure('nothing', 24, 8, 4)))"
    ran = subprocess.run([sys.executable, "-c", measure], capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(ran.stdout)["succeeded"] == 32


def test_every_row_can_be_asked_for() -> None:
    named = "from bench.__main__ import ROWS; print(*ROWS)"
    ran = subprocess.run([sys.executable, "-c", named], capture_output=True, text=True, check=True, timeout=60)
    assert "walk" in ran.stdout.split()
