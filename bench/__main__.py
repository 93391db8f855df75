"""`make bench`: every row, or those named: `make bench ARGS=walk`."""

import sys

from bench import cli, hung, journal, logs, providers, supervision, walk

ROWS = {
    "walk": walk.row,
    "supervision": supervision.row,
    "cli": cli.row,
    "hung": hung.row,
    "journal": journal.row,
    "logs": logs.row,
    "providers": providers.row,
}


def main() -> int:
    """Print each row; 1 when one misses its goal."""
    named = sys.argv[1:] or list(ROWS)
    met = [ROWS[name]() for name in named]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
