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
    """Print each row; 1 when one misses its goal, 2 when there is none of a name."""
    named = sys.argv[1:] or list(ROWS)
    unknown = [each for each in named if each not in ROWS]
    if unknown:
        print(f"no row is called {', '.join(unknown)}; there are {', '.join(ROWS)}", file=sys.stderr)
        return 2
    met = [ROWS[name]() for name in named]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
