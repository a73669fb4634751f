"""Servers say that they run and what they hold; those that have gone are forgotten."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

from mlframe.store import metadata as db
from mlframe.store.servers import SILENT
from mlframe.store.store import Store


def change(store: Store, **values):
    with store._database.write("test") as connection:
        connection.execute(db.servers.update().values(**values))


def test_a_server_comes_and_goes(store: Store):
    first = store.servers.start("email", {"address": "http://here", "versions": ["email/1"]})
    second = store.servers.start("churn", {"address": "http://there", "versions": ["churn/3", "churn/2"]})
    assert [server["address"] for server in store.servers.running()] == ["http://here", "http://there"]
    assert [server["id"] for server in store.servers.running("churn")] == [second]
    store.servers.seen(first, "email", {"address": "http://here", "versions": ["email/1", "email/2"]})
    assert store.servers.versions() == {"email/1", "email/2", "churn/2", "churn/3"}
    store.servers.stop(first)
    store.servers.stop(first)
    assert store.servers.versions() == {"churn/2", "churn/3"}


def test_a_server_whose_record_was_removed_is_put_back(store: Store):
    server = store.servers.start("email", {"versions": ["email/1"]})
    store.servers.stop(server)
    store.servers.seen(server, "email", {"versions": ["email/2"]})
    assert store.servers.versions() == {"email/2"}


def test_a_killed_server_is_forgotten(store: Store):
    store.servers.start("email", {"versions": ["email/1"]})
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    change(store, pid=gone.pid)
    assert store.servers.versions() == set()
    assert store.servers.running() == []


def test_a_server_elsewhere_is_believed_for_a_while(store: Store):
    store.servers.start("email", {"versions": ["email/1"]})
    change(store, host="elsewhere", pid=1)
    assert store.servers.versions() == {"email/1"}
    change(store, seen=(datetime.now(UTC) - timedelta(seconds=SILENT + 1)).isoformat(timespec="microseconds"))
    assert store.servers.versions() == set()
