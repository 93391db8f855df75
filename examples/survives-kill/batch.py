"""Prints a batch of sixteen slow items that tell the witness named on the command line."""

import json
import sys

ITEMS = 16

print(
    json.dumps(
        [
            {
                "id": f"brick-{number}",
                "description": f"Lay brick {number}",
                "agent": "slow",
                "input": {"witness": sys.argv[1]},
                "labels": {"wall": "north"},
            }
            for number in range(1, ITEMS + 1)
        ]
    )
)
