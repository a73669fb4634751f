"""Shows the candidates of a sweep, the best first, and which one to train for good."""

from __future__ import annotations

import argparse
from pathlib import Path

from mlframe.errors import UserError

SUMMARY = "show a sweep: candidates in order, ties, cost, failures, which one to train"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the positionals and flags."""
    parser.add_argument("sweep", help="id of the sweep, its beginning, or 'last'")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write a page with pictures")


def run(arguments: argparse.Namespace) -> int:
    """Print the leaderboard, and write the page."""
    from mlframe.sweep.leaderboard import build
    from mlframe.sweep.shown import charts, render_html, render_text

    with arguments.door.open_store() as store:
        sweep = store.sweep(arguments.sweep)
        board = build(sweep, store.sweep_jobs(sweep["id"]))
    print(render_text(board))
    if arguments.html:
        page = render_html(board, charts(board))
        try:
            arguments.html.write_text(page, encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"The page cannot be written: {error.strerror or error}",
                value=str(arguments.html),
                where="--html",
                hint="name a file in a folder that is there and may be written",
            ) from error
        print(f"page: {arguments.html}")
    return 0
