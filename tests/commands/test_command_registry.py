"""Show and compare versions, promote and roll back when others do as well, and clean up, from the command line."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from mlframe.store import Store
from mlframe.testing.plugin import CliResult

Shop = Callable[..., CliResult]


def test_show_tells_all_of_a_version(shop: Shop):
    assert shop("promote", "shop/2", "--why", "best so far").code == 0
    for reference in ("shop/2", "shop@champion"):
        shown = shop("show", reference)
        assert shown.code == 0, shown.err
        with Store.open(".mlframe") as store:
            version = store.version("shop/2")
        for word in (
            "version shop/2",
            "shop@champion",
            version["run_id"],
            "bought, binary: no, yes",
            "400 rows",
            "roc_auc",
            "no leak",
            "sklearn",
            "beside/trained_rows.npy",
            version["files"]["manifest.json"]["sha256"][:16],
            "best so far",
        ):
            assert word in shown.out, word
    assert "model:" in shop("show", "shop/2", "--config").out
    with Store.open(".mlframe") as store:
        run = store.version("shop/2")["run_id"]
    assert "files" in shop("show", run).out


def test_show_of_a_damaged_version_names_the_file(shop: Shop):
    with Store.open(".mlframe") as store:
        path = store.open_bundle("shop/2") / "figures.json"
    path.chmod(0o644)
    path.write_text("{}")
    shown = shop("show", "shop/2")
    assert shown.code == 2
    assert "'figures.json' is not what was registered" in shown.err
    assert shop("show", "shop/9").code == 2


def test_compare_of_versions_tells_what_their_bundles_differ_in(shop: Shop):
    assert shop("promote", "shop/1").code == 0
    compared = shop("compare", "shop/1", "shop/2")
    assert compared.code == 0, compared.err
    assert re.search(r"aliases\s+champion\s+-", compared.out)
    assert re.search(r"size\s+[\d.]+ kB\s+[\d.]+ kB", compared.out)
    assert re.search(r"model\.name\s+dummy\s+linear", compared.out)
    assert "shop/2 is better" in compared.out
    everything = shop("compare", "shop/1", "shop/2", "--all", "--html", "page.html")
    assert "needs mlframe" in everything.out
    assert "Bundle" in Path("page.html").read_text()
    with Store.open(".mlframe") as store:
        run = store.version("shop/1")["run_id"]
    assert shop("compare", run, "shop/2").code == 0


# --------------------------------------------------------------------------------------------------- who moves first


def _start(*argv: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mlframe", *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_of_two_processes_that_promote_at_once_one_wins_and_the_other_is_told(shop: Shop):
    assert shop("promote", "shop/2").code == 0
    both = [_start("promote", "shop/1", "--expect", "shop/2", "--why", f"p{number}") for number in (1, 2)]
    ended = [(process, *process.communicate(timeout=120)) for process in both]
    assert sorted(process.returncode for process, *_ in ended) == [0, 2], ended
    loser = next(err for process, _, err in ended if process.returncode == 2)
    assert "shop@champion has been moved meanwhile: it points at shop/1, not at shop/2" in loser
    assert "mlframe history shop" in loser
    assert "Traceback" not in loser


def test_of_two_rollbacks_at_once_one_goes_back_one_step(shop: Shop):
    for number in (1, 2, 1):
        assert shop("promote", f"shop/{number}").code == 0
    with Store.open(".mlframe") as store:
        before = len(store.history("shop"))
    both = [_start("rollback", "shop", "--expect", "shop/1") for _ in range(2)]
    ended = [(process, *process.communicate(timeout=120)) for process in both]
    assert sorted(process.returncode for process, *_ in ended) == [0, 2], ended
    with Store.open(".mlframe") as store:
        assert len(store.history("shop")) == before + 1
        assert store.holder("shop") == "shop/2"


def test_expectations_are_checked(shop: Shop):
    assert shop("promote", "shop/1", "--expect", "shop/2").code == 2
    assert shop("promote", "shop/1", "--expect", "none").code == 0
    again = shop("promote", "shop/2", "--expect", "none")
    assert again.code == 2
    assert "it points at shop/1, not at nothing" in again.err
    assert shop("promote", "shop/2", "--expect", "shop/7").code == 2
    assert shop("rollback", "shop", "--expect", "shop/2").code == 2


def test_the_gate_does_not_promote_over_a_champion_that_it_has_not_seen(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    from shop_bench import QUICK, TABLE

    from mlframe.steps.register import Register

    assert shop("promote", "shop/1").code == 0
    run = Register.run

    def promoted_meanwhile(self: Register, context: object, **inputs: object) -> object:
        context.store.promote("shop/2", who="bob", why="meanwhile", evidence={})  # type: ignore[attr-defined]
        return run(self, context, **inputs)

    monkeypatch.setattr(Register, "run", promoted_meanwhile)
    done = shop(*TABLE, *QUICK, "model=linear", "level=1", "goal.targets.roc_auc=0.4", "model.classification.C=0.5")
    assert done.code == 0, done.err
    assert "not promoted: shop@champion has been moved meanwhile" in done.out
    assert "promote shop/3" in done.out
    with Store.open(".mlframe") as store:
        assert store.holder("shop") == "shop/2"


# ----------------------------------------------------------------------------------------------------------- cleaning


def test_gc_says_what_would_go_and_removes_it_only_when_told(shop: Shop):
    from shop_bench import QUICK, TABLE

    assert shop(*TABLE, *QUICK, "model=dummy", "seed=1").code == 0
    assert shop("promote", "shop/2").code == 0
    for words in (("gc", "--keep", "1"), ("gc", "--keep", "1", "--dry-run", "--delete")):
        told = shop(*words)
        assert told.code == 0, told.err
        assert re.search(r"shop/2\s+is shop@champion", told.out)
        assert re.search(r"shop/3\s+the newest", told.out)
        assert re.search(r"would go\s+frees\s+\S*\s+shop/1", told.out.replace("─", ""))
        assert "nothing was removed" in told.out
        assert "shop/1" in shop("versions").out
    done = shop("gc", "--keep", "1", "--delete")
    assert done.code == 0, done.err
    assert "freed" in done.out
    assert "shop/1" not in shop("versions").out
    assert "nothing to remove" in shop("gc", "--keep", "1").out
    gone = shop("show", "shop/1")
    assert gone.code == 2
    assert "shop/3, shop/2" in gone.err
    assert shop("gc", "--keep", "0").code == 2
    runs = shop("gc", "--runs", "0")
    assert runs.out.count("folder of run") == 1  # the one of shop/1; the others made versions that stay


def _promote_many(root: str, mine: int, other: int) -> tuple[int, int]:
    """Promote back and forth as two people would: look, decide, move."""
    from mlframe.errors import MovedError

    moved = refused = 0
    with Store.open(root, timeout=60) as store:
        for _ in range(20):
            seen = store.holder("shop")
            target = mine if seen == f"shop/{other}" else other
            try:
                store.promote(f"shop/{target}", who="w", why="", evidence={}, expected=seen)
                moved += 1
            except MovedError:
                refused += 1
    return moved, refused


def test_many_moves_from_many_processes_make_one_chain(shop: Shop):
    assert shop("promote", "shop/1").code == 0
    root = str(Path(".mlframe").absolute())
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        ended = [job.result(timeout=120) for job in [pool.submit(_promote_many, root, 1, 2) for _ in range(4)]]
    with Store.open(".mlframe") as store:
        history = store.history("shop")
    assert len(history) == 1 + sum(moved for moved, _ in ended)
    assert [move["from"] for move in history[1:]] == [move["to"] for move in history[:-1]]
    assert all(move["from"] != move["to"] for move in history)
