"""The store as the runner and the commands see it: one class in front of runs, sweeps, step cache and versions."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mlframe.errors import StoreError
from mlframe.store.artifacts import ArtifactEntry, Artifacts
from mlframe.store.browsing import Browsing
from mlframe.store.codecs import Codecs
from mlframe.store.guard import guarded
from mlframe.store.keys import Keys
from mlframe.store.metadata import Database
from mlframe.store.objects import LocalObjects, Objects, RemoteObjects
from mlframe.store.operations import Decisions, Operations
from mlframe.store.runs import Runs
from mlframe.store.servers import Servers
from mlframe.store.sweeps import Sweeps
from mlframe.store.versions import ANY, CHAMPION, Versions
from mlframe.store.watching import Alarms, Windows

if TYPE_CHECKING:
    from mlframe.store.garbage import Garbage
    from mlframe.store.upgrade import Upgraded

__all__ = ["Store"]

FOLDERS = ("objects", "runs", "predictions", "feedback", "failures")


class Store:
    """A workspace: its tables, its files and its folders. Open it with `Store.open`.

    Args:
        folder: local folder of runs, predictions, feedback and failures.
        database: tables.
        objects: files.
        root: what it was opened with, a local folder as an absolute path; opens it again from any working directory.
        url: the tables' address that it was opened with; it may hold a password.
    """

    def __init__(
        self, folder: Path, database: Database, objects: Objects, root: str | None = None, url: str | None = None
    ) -> None:
        self.folder = folder
        self.root = root or str(folder)
        self.url = url
        self._database = database
        self._objects = objects
        self._codecs = Codecs()
        self._artifacts = Artifacts(database, objects, self._codecs)
        self._runs = Runs(database)
        self._sweeps = Sweeps(database)
        self.servers = Servers(database)
        self._versions = Versions(database, objects)
        self._keys = Keys(database)
        self.windows = Windows(database)
        self.alarms = Alarms(database)
        self.decisions = Decisions(database)
        self.operations = Operations(database)
        self.browsing = Browsing(database)

    @classmethod
    def open(cls, root: str, url: str | None = None, *, create: bool = True, timeout: float = 10.0) -> Store:
        """Open the store at a place, and make it when there is none.

        Args:
            root: folder, or fsspec address such as `s3://bucket/team`; a remote store keeps local copies below
                `MLFRAME_CACHE` (default `~/.cache/mlframe`).
            url: SQLAlchemy address of the tables; None keeps them in `mlframe.db` in the root.
            create: whether to make a store where there is none.
            timeout: seconds to wait for another process's lock.

        Raises:
            StoreError: there is no store, it cannot be read or written, it is locked, or it is from another mlframe
                (`upgrade` brings an older one up to date).
        """
        root = str(root)
        folder, remote = _local_folder(root, url)
        if not create and not folder.is_dir() and not remote:
            raise StoreError(
                "There is no store here", where=str(folder), hint="train a model first, or name it with 'store.root'"
            )
        with guarded("opening it", root):
            for name in FOLDERS:
                (folder / name).mkdir(parents=True, exist_ok=True)
            local = LocalObjects(folder / "objects")
            local.prepare()
        database = Database(url or f"sqlite:///{folder / 'mlframe.db'}", timeout=timeout)
        try:
            database.prepare(create=create)
            return cls(folder, database, _remote(root, local) if remote else local, root if remote else None, url)
        except BaseException:
            database.close()
            raise

    @staticmethod
    def upgrade(root: str, url: str | None = None, *, saved: bool = False, timeout: float = 10.0) -> Upgraded:
        """Bring the tables of a store from an older mlframe up to date, after a backup.

        Args:
            root: as in `open`.
            url: as in `open`.
            saved: whether the caller has a backup; else one is made in the folder `backups` of the store.
            timeout: seconds to wait for another process's lock.

        Raises:
            StoreError: there is no store, it is from a newer mlframe, or no backup could be made.
        """
        from mlframe.store.upgrade import upgrade

        folder, _ = _local_folder(str(root), url)
        database = Database(url or f"sqlite:///{folder / 'mlframe.db'}", timeout=timeout)
        try:
            return upgrade(database, folder / "backups", saved=saved)
        finally:
            database.close()

    def close(self) -> None:
        """Close the connections; the store may not be used afterwards."""
        self._database.close()

    @property
    def where(self) -> str:
        """Address of the tables, without a password: how the store is called in texts."""
        return self._database.where

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------------------------------------------------ runs

    def start_run(
        self,
        *,
        task: str,
        name: str,
        group: str | None,
        config: Mapping[str, Any],
        unresolved: Mapping[str, Any],
        facts: Mapping[str, Any],
    ) -> str:
        """Record that a run has begun in this process.

        Args:
            task: the task.
            name: name of the model.
            group: id of the multirun that it belongs to.
            config: resolved config, credentials left out.
            unresolved: config with its interpolations.
            facts: code, environment, machine and seed.

        Returns:
            The run's id, such as `20261123-101502-4f2a`; ids sort by time. Its folder is there.
        """
        run_id = self._runs.start(task=task, name=name, group=group, config=config, unresolved=unresolved, facts=facts)
        self.run_folder(run_id)
        return run_id

    def update_run(self, run_id: str, **json_fields: Any) -> None:
        """Set fields of a run (plain JSON values); new names are kept and come back from `run`."""
        self._runs.update(run_id, json_fields)

    def finish_run(self, run_id: str, status: str, summary: Mapping[str, Any]) -> None:
        """Record how a run ended: `finished`, `failed` or `interrupted`, and what `show` prints."""
        self._runs.finish(run_id, status, summary)

    def record_step(
        self,
        run_id: str,
        step: str,
        *,
        seconds: float,
        cached: bool,
        key: str | None,
        peak_memory: int | None,
        status: str,
        error: str | None = None,
    ) -> None:
        """Add a step to a run.

        Args:
            run_id: the run.
            step: the step.
            seconds: wall time.
            cached: whether its artifacts came from the step cache.
            key: its key in the step cache.
            peak_memory: largest resident size of the process, in bytes.
            status: `finished`, `failed` or `interrupted`.
            error: text of the error.
        """
        values = {"seconds": seconds, "cached": cached, "key": key, "peak_memory": peak_memory}
        self.record_steps(run_id, [{"step": step, **values, "status": status, "error": error}])

    def record_steps(self, run_id: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Add steps to a run at once; each record has the fields that `record_step` takes, all of them."""
        self._runs.record_steps(run_id, records)

    def run(self, reference: str) -> dict[str, Any]:
        """Return a run by its id or the beginning of it.

        A run of this machine whose process has gone has the status `interrupted`.

        Raises:
            UnknownNameError: no run, or more than one, is meant.
        """
        return self._runs.one(reference)

    def runs(
        self, *, limit: int = 20, name: str | None = None, group: str | None = None, status: str | None = None
    ) -> list[dict[str, Any]]:
        """Return runs, the latest first."""
        return self._runs.many(limit=limit, name=name, group=group, status=status)

    def steps(self, run_id: str) -> list[dict[str, Any]]:
        """Return the steps of a run in the order in which they were recorded."""
        return self._runs.steps(run_id)

    def run_folder(self, run_id: str) -> Path:
        """Return the folder of a run's files; made when absent."""
        folder = self.folder / "runs" / run_id
        with guarded("making the run's folder", str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def record_holdout(self, run_id: str, *, data_fingerprint: str, split_key: str) -> None:
        """Record that a run has seen the holdout of a split; a second look of the same run counts once."""
        self._runs.record_holdout(run_id, data_fingerprint=data_fingerprint, split_key=split_key)

    def holdout_uses(self, split_key: str) -> int:
        """Return how many runs have seen the holdout of a split."""
        return self._runs.holdout_uses(split_key)

    # ---------------------------------------------------------------------------------------------------- sweeps

    def start_sweep(self, name: str, record: Mapping[str, Any]) -> str:
        """Record that a sweep has begun in this process.

        Args:
            name: name of the model.
            record: what was asked for (plain JSON values).

        Returns:
            The sweep's id, such as `sweep-20261123-101502-4f2a`.
        """
        return self._sweeps.start(name, record)

    def claim_sweep(self, sweep_id: str) -> None:
        """Make this process the owner of a sweep that it goes on with.

        Raises:
            StoreError: another process works on it now.
        """
        self._sweeps.claim(sweep_id)

    def update_sweep(self, sweep_id: str, status: str | None = None, **json_fields: Any) -> None:
        """Set a sweep's status (`running`, `finished`, `failed`, `interrupted`) and fields of its record."""
        self._sweeps.update(sweep_id, status, json_fields)

    def put_sweep_job(self, sweep_id: str, number: int, status: str, record: Mapping[str, Any]) -> None:
        """Write the whole record of a job: `waiting`, `running`, `finished`, `pruned`, `failed` or `killed`."""
        self._sweeps.put_job(sweep_id, number, status, record)

    def sweep(self, reference: str) -> dict[str, Any]:
        """Return a sweep by its id, the beginning of it, or `last`; one whose process has gone is `interrupted`.

        Raises:
            UnknownNameError: no sweep, or more than one, is meant.
        """
        return self._sweeps.one(reference)

    def sweep_jobs(self, sweep_id: str) -> list[dict[str, Any]]:
        """Return the records of a sweep's jobs by number."""
        return self._sweeps.jobs(sweep_id)

    # ------------------------------------------------------------------------------------------------ step cache

    def register_codec(
        self,
        kind: str,
        save: Callable[[Any, Path], None],
        load: Callable[[Path], Any],
        *,
        bulky: bool = False,
        final: bool = False,
    ) -> None:
        """Teach the store a kind of artifact.

        Args:
            kind: name of the kind, such as `pipeline`.
            save: writes a value as files into an empty folder.
            load: reads it back; must not refer to the folder afterwards. Every file was checked before.
            bulky: whether large files are checked by size and time instead of by digest; see `mlframe.store.objects`.
            final: whether a value never changes once it is made: one that was saved is not written again.
        """
        self._codecs.register(kind, save, load, bulky=bulky, final=final)

    def save_artifact(self, key: str, *, step: str, kind: str, name: str, value: Any) -> ArtifactEntry:
        """Keep a value in the step cache; one that has the key is replaced.

        Args:
            key: digest of all that the value depends on.
            step: step that gave it.
            kind: table, frame, arrays (numpy, CSR or None by name), json, files (a folder or a list of paths), or a
                registered one.
            name: name of the artifact.
            value: the value.

        Raises:
            StoreError: the value cannot be kept, or the store cannot be written.
        """
        return self.save_artifacts(step, [(key, kind, name, value)])[0]

    def save_artifacts(self, step: str, values: Sequence[tuple[str, str, str, Any]]) -> list[ArtifactEntry]:
        """Keep values of a step, each given as key, kind, name and value; a reader sees all of them or none.

        Raises:
            StoreError: a value cannot be kept, or the store cannot be written.
        """
        names = ", ".join(name for _, _, name, _ in values)
        with guarded(f"saving {names!r} of step {step!r}", self._database.where):
            return self._artifacts.save(step, values)

    def artifact(self, key: str) -> ArtifactEntry | None:
        """Return the entry of a key, None when there is none.

        Its files are checked: size and modification time always, the digest of all but large tables and arrays. An
        entry with a damaged or missing file is dropped with a warning, and None is returned.
        """
        with guarded("looking into the step cache", self._database.where):
            return self._artifacts.find(key)

    def artifact_size(self, key: str) -> int | None:
        """Return the bytes that a key's value takes on the disk, None when there is none; nothing is checked."""
        return self._artifacts.size(key)

    def load_artifact(self, entry: ArtifactEntry) -> Any:
        """Return the value of an entry that `artifact` has just given. Files come back as paths not to be changed."""
        with guarded(f"reading {entry.name!r} from the step cache", self._database.where):
            return self._artifacts.load(entry)

    def evict(self, max_bytes: int) -> int:
        """Remove what was not used for longest until the step cache is small enough; never what versions use.

        Returns:
            Bytes that were freed.
        """
        with guarded("evicting from the step cache", self._database.where):
            return self._artifacts.evict(max_bytes)

    # -------------------------------------------------------------------------------------------------- versions

    def register(
        self,
        name: str,
        folder: Path,
        *,
        run_id: str,
        figures: Mapping[str, Any],
        facts: Mapping[str, Any],
        beside: Mapping[str, Path] | None = None,
        once: bool = False,
        number: int | None = None,
    ) -> str:
        """Keep a bundle for good and give it a number.

        Args:
            name: name of the model.
            folder: a bundle with its manifest; copied.
            run_id: run that made it.
            figures: figures that judge it (plain JSON values).
            facts: data fingerprint, environment and what else describes it.
            beside: files that are kept with the version, by name, and that no prediction needs.
            once: whether to refuse a bundle that is a version of this name already.
            number: the number, above all that the name has had; None takes the next one.

        Returns:
            The version's reference, such as `email/7`.

        Raises:
            BundleError: the folder is not what its manifest says.
            StoreError: with `once`, the bundle is there already; the number is not above all others.
        """
        with guarded(f"registering a version of {name!r}", self._database.where):
            return self._versions.register(
                name,
                Path(folder),
                run_id=run_id,
                figures=figures,
                facts=facts,
                beside=beside or {},
                once=once,
                number=number,
            )

    def versions(self, name: str | None = None) -> list[dict[str, Any]]:
        """Return versions by name and number: name, number, reference, aliases, run_id, created, figures, facts."""
        return self._versions.many(name)

    def version(self, reference: str) -> dict[str, Any]:
        """Return the version that `email/7`, `email@champion` or `email` (its champion) names, with its files.

        Raises:
            UnknownNameError: there is none; the text lists the versions and, without a champion, how to promote one.
        """
        return self._versions.one(reference)

    def resolve(self, reference: str) -> str:
        """Return the version that a reference names now, such as `email/7`, without its record.

        Raises:
            UnknownNameError: there is none, see `version`.
        """
        return self._versions.resolve(reference)

    def open_bundle(self, reference: str) -> Path:
        """Return a folder with the bundle of a version; every file's digest is checked first. Not to be changed.

        Raises:
            BundleError: a file is missing or changed; the text names it with the expected and the found digest.
            UnknownNameError: there is no such version.
        """
        with guarded(f"opening {reference}", self._database.where):
            return self._versions.open(reference)

    def beside(self, reference: str) -> dict[str, Path]:
        """Return the files that are kept beside a version's bundle, by name; their digests are checked first.

        Raises:
            BundleError: a file is missing or changed.
            UnknownNameError: there is no such version.
        """
        with guarded(f"opening {reference}", self._database.where):
            return self._versions.beside(reference)

    def holder(self, name: str, alias: str = CHAMPION) -> str | None:
        """Return the version that an alias points at, None when it points at nothing."""
        return self._versions.holder(name, alias)

    def promote(
        self,
        reference: str,
        *,
        alias: str = CHAMPION,
        who: str,
        why: str,
        evidence: Mapping[str, Any],
        expected: Any = ANY,
    ) -> dict[str, Any]:
        """Point an alias at a version and log it.

        Args:
            reference: the version.
            alias: the alias.
            who: person or process that decides.
            why: its reason.
            evidence: what the decision rests on (plain JSON values).
            expected: when given, the reference (or None) that the alias must point at now, else nothing is moved.

        Returns:
            The entry of the log: name, alias, action, from, to, when, who, why, evidence.

        Raises:
            MovedError: the alias does not point at `expected`.
        """
        return self._versions.promote(reference, alias=alias, who=who, why=why, evidence=evidence, expected=expected)

    def rollback(self, name: str, *, alias: str = CHAMPION, who: str, why: str, expected: Any = ANY) -> dict[str, Any]:
        """Point an alias at what it was promoted to before, and log it; each call goes one promotion further back.

        Returns:
            The entry of the log.

        Raises:
            StoreError: there is nothing to go back to.
            MovedError: the alias does not point at `expected`, see `promote`.
            UnknownNameError: there is no such model or alias.
        """
        return self._versions.rollback(name, alias=alias, who=who, why=why, expected=expected)

    def history(self, name: str) -> list[dict[str, Any]]:
        """Return every move of a model's aliases, the first one first; the log is only ever added to."""
        return self._versions.history(name)

    def garbage(self, *, keep: int, run_days: int | None = None, delete: bool = False) -> Garbage:
        """Find versions, files and old runs' folders that nothing needs, and remove them if asked to.

        Args:
            keep: how many of each model's newest versions stay whatever happens.
            run_days: age from which folders of runs count; None leaves them alone.
            delete: whether to remove what is found.

        Returns:
            What was found, or removed, and why the other versions stay.
        """
        from mlframe.store import garbage

        act = garbage.collect if delete else garbage.find
        with guarded("removing what nothing needs", self._database.where):
            return act(self, self._database, self._objects, keep=keep, days=run_days)

    # ------------------------------------------------------------------------------------------------------ keys

    def create_key(self, name: str, scopes: Sequence[str], *, who: str) -> tuple[str, dict[str, Any]]:
        """Make an API key of the prediction server.

        Args:
            name: who uses it.
            scopes: what it is good for; see `mlframe.store.keys.SCOPES`.
            who: person that makes it.

        Returns:
            The key, which nobody can learn again, and its record: id, name, scopes, created, who, revoked.
        """
        return self._keys.create(name, scopes, who=who)

    def api_keys(self) -> list[dict[str, Any]]:
        """Return every key's record, the oldest first; keys themselves are not in the store."""
        return self._keys.many()

    def revoke_key(self, reference: str) -> dict[str, Any]:
        """Make a key useless for good, by its id or by the key itself, and return its record; again does nothing.

        Raises:
            UnknownNameError: there is no such key.
        """
        return self._keys.revoke(reference)

    def key_table(self) -> dict[str, tuple[str, frozenset[str]]]:
        """Return the digest of every key that is not revoked, with its id and scopes.

        A server looks up `key_digest(what was sent)`.
        """
        return self._keys.table()

    def pii_salt(self) -> bytes:
        """Return the store's own key of digests that stand for personal values; made when first asked for."""
        return bytes.fromhex(self._database.fixed("pii_salt", secrets.token_hex(32)))


def _local_folder(root: str, url: str | None) -> tuple[Path, bool]:
    """Return the local folder of a root, and whether the root is a remote address."""
    remote = "://" in root and not root.startswith(("file://", "local://"))
    if remote and url is None:
        raise StoreError(
            "A store at a remote address needs a database server for its tables",
            value=root,
            where="store.root",
            hint="set 'store.url', such as postgresql+psycopg://user@host/name",
        )
    if remote:
        return _cache_folder(root), True
    return Path(root.partition("://")[2] or root).expanduser().absolute(), False


def _cache_folder(root: str) -> Path:
    base = os.environ.get("MLFRAME_CACHE")
    folder = Path(base) if base else Path.home() / ".cache" / "mlframe"
    return folder.absolute() / hashlib.sha256(root.rstrip("/").encode()).hexdigest()[:16]


def _remote(root: str, local: LocalObjects) -> RemoteObjects:
    import fsspec

    try:
        filesystem, path = fsspec.core.url_to_fs(f"{root.rstrip('/')}/objects", use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise StoreError(
            f"The store's address cannot be used: {error}",
            value=root,
            where="store.root",
            hint="install fsspec's package for this protocol, or name a folder",
        ) from error
    return RemoteObjects(filesystem, path, local)
