"""Runs the standard tests of a version."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mlframe.commands.shown import print_table

SUMMARY = "run the standard tests of a version: schema, parity, invariance, direction, slices, cost, robustness"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the positionals and flags."""
    parser.add_argument("version", help="such as email/7, email@champion or champion; or a folder that export wrote")
    parser.add_argument("--staged", action="store_true", help="also behind a server that is started for the tests")
    parser.add_argument("--endpoint", metavar="ADDRESS", help="also behind the server at this address")
    parser.add_argument("--rows", metavar="FILE", help="rows with their truth, for what groups of rows must reach")
    parser.add_argument("--checks", metavar="FILE", help="YAML of limits and expectations over the version's own")
    parser.add_argument("--json", metavar="FILE", help="write every outcome as JSON")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, help="most seconds; later is a failure")


def run(arguments: argparse.Namespace) -> int:
    """Run them in a process of their own and print what they said.

    Returns:
        0, or 3 when a test says no.
    """
    from mlframe.door import GATE
    from mlframe.operating.standard import standard_tests

    root, url = arguments.door.store_place()
    report = standard_tests(
        arguments.version,
        store_root=root,
        store_url=url,
        endpoint=arguments.endpoint or ("start" if arguments.staged else None),
        rows=Path(arguments.rows) if arguments.rows else None,
        checks=Path(arguments.checks) if arguments.checks else None,
        timeout=arguments.timeout,
        folder=arguments.door.folder,
    )
    groups: dict[str, dict[str, int]] = {}
    for test in report.tests:
        words = test["test"].rpartition("::")[2].removeprefix("test_").replace("[", "_").split("_")
        kind = words[0] if "::test_" in test["test"] and test["test"].startswith(report.version) else "your own"
        counts = groups.setdefault(kind, {"passed": 0, "failed": 0, "skipped": 0})
        counts[test["outcome"]] += 1
    rows = [(kind, *(count or "" for count in counts.values())) for kind, counts in groups.items()]
    print_table(("tests", "passed", "failed", "skipped"), rows, title=f"standard tests of {report.version}")
    for line in report.failures:
        print(f"failed: {line}")
    for test in report.tests:
        if test["outcome"] == "skipped":
            print(f"skipped: {test['test'].rpartition('::')[2]}: {test['text']}")
    print(f"{report.version}: {'passed' if report.passed else 'NOT passed'} in {report.seconds:.1f} s")
    if arguments.json:
        Path(arguments.json).write_text(
            json.dumps({**report.record(), "tests": list(report.tests)}, ensure_ascii=False, indent=1), encoding="utf-8"
        )
    return 0 if report.passed else GATE
