"""`python -m mlframe`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from mlframe.cli import main as door

    sys.exit(door(sys.argv[1:]))


if __name__ == "__main__":
    main()
