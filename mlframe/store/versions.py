"""Versions of models, the aliases that point at them, and the log of every move."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

import sqlalchemy as sa

from mlframe.errors import BundleError, ConfigError, MovedError, StoreError, UnknownNameError, near_matches
from mlframe.store import metadata as db
from mlframe.store.bundle import MANIFEST, read_manifest
from mlframe.store.folders import open_folder
from mlframe.store.objects import Objects, digest_of

__all__ = ["ANY", "BESIDE", "CHAMPION", "Versions"]

CHAMPION = "champion"

ANY: Final = object()
"""Stands for "whatever the alias points at now"."""

BESIDE = "beside/"
"""How files of a version are called that are kept with it and are no part of its bundle."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_REFERENCE = re.compile(r"(?P<name>[^/@]+)(?:/(?P<number>[0-9]{1,9})|@(?P<alias>[^/@]+))?")


class Versions:
    """Reads and writes versions.

    Args:
        database: the store's tables.
        objects: the store's files.
    """

    def __init__(self, database: db.Database, objects: Objects) -> None:
        self._database = database
        self._objects = objects

    def register(
        self,
        name: str,
        folder: Path,
        *,
        run_id: str,
        figures: Mapping[str, Any],
        facts: Mapping[str, Any],
        beside: Mapping[str, Path],
        once: bool,
        number: int | None = None,
    ) -> str:
        """Keep the files of a bundle for good and give them the name's next number, or one above all that it has had."""
        _check_name("name of a model", name, where="name")
        manifest = read_manifest(folder)
        expected = {file: (folder / PurePosixPath(file), item["sha256"]) for file, item in manifest["files"].items()}
        expected[MANIFEST] = (folder / MANIFEST, digest_of(folder / MANIFEST))
        expected |= {f"{BESIDE}{file}": (path, digest_of(path)) for file, path in beside.items()}
        files = self._put(expected)
        with self._database.write(f"registering a version of {name!r}", durable=True) as connection:
            db.lock_objects(connection)
            if not all(self._objects.has(at, size) for at, size in files.values()):
                files = self._put(expected)  # evicted since, as nothing referred to them yet
            db.insert_missing(connection, db.names, name=name, last=0)
            _lock_name(connection, name)
            if once:
                _check_new(connection, name, expected[MANIFEST][1], where=self._database.where)
            number = _take_number(connection, name, number, where=self._database.where)
            own = {"name": name, "number": number}
            connection.execute(
                db.versions.insert().values(**own, run_id=run_id, created=db.now(), figures=figures, facts=facts)
            )
            connection.execute(
                db.version_files.insert(),
                [{**own, "file": file, "address": at, "size": size} for file, (at, size) in files.items()],
            )
        return f"{name}/{number}"

    def many(self, name: str | None) -> list[dict[str, Any]]:
        """Return the versions of one model or of all, by name and number."""
        query = sa.select(db.versions).order_by(db.versions.c.name, db.versions.c.number)
        if name is not None:
            query = query.where(db.versions.c.name == name)
        with self._database.read("reading versions") as connection:
            rows = connection.execute(query).mappings().all()
            pointers = connection.execute(sa.select(db.aliases)).all()
            if name is not None and not rows:
                raise self._unknown_name(connection, name)
        return [_as_dict(dict(row), pointers) for row in rows]

    def one(self, reference: str) -> dict[str, Any]:
        """Return the version that `email/7`, `email@champion` or `email` (its champion) names."""
        with self._database.read("reading a version") as connection:
            name, number = self._resolve(connection, reference)
            row = connection.execute(sa.select(db.versions).where(_is(db.versions, name, number))).mappings().one()
            pointers = connection.execute(sa.select(db.aliases).where(_is(db.aliases, name, number))).all()
            files = connection.execute(
                sa.select(db.version_files).where(_is(db.version_files, name, number))
            ).mappings()
            listed = {item["file"]: {"sha256": item["address"], "size": item["size"]} for item in files}
        return {**_as_dict(dict(row), pointers), "files": listed}

    def resolve(self, reference: str) -> str:
        """Return the version that a reference names now, without its record."""
        with self._database.read("looking a version up") as connection:
            name, number = self._resolve(connection, reference)
        return f"{name}/{number}"

    def open(self, reference: str) -> Path:
        """Return a folder with the bundle's files, each of which has been verified first."""
        version = self.one(reference)
        paths, addresses = {}, {}
        for file, record in version["files"].items():
            if not file.startswith(BESIDE):
                paths[file] = self._fetch(version["reference"], file, record)
                addresses[file] = record["sha256"]
        folder = open_folder(paths, addresses, self._objects)
        read_manifest(folder, verify=False)
        return folder

    def beside(self, reference: str) -> dict[str, Path]:
        """Return the files that were kept beside the bundle of a version, each of which has been verified first."""
        version = self.one(reference)
        return {
            file.removeprefix(BESIDE): self._fetch(version["reference"], file, record)
            for file, record in version["files"].items()
            if file.startswith(BESIDE)
        }

    def holder(self, name: str, alias: str) -> str | None:
        """Return the version that an alias points at, None when it points at nothing."""
        with self._database.read("reading an alias") as connection:
            found = _pointer(connection, name, alias)
        return None if found is None else f"{name}/{found}"

    def promote(
        self, reference: str, *, alias: str, who: str, why: str, evidence: Mapping[str, Any], expected: Any
    ) -> dict[str, Any]:
        """Point an alias at a version and log it."""
        _check_name("alias", alias, where="alias")
        with self._database.write(f"promoting {reference}", durable=True) as connection:
            name, after = self._resolve(connection, reference)
            _lock_name(connection, name)
            self._resolve(connection, f"{name}/{after}")  # it may have been removed while we waited
            before = _pointer(connection, name, alias)
            self._check_unmoved(name, alias, before, expected)
            return _move(connection, name, alias, "promote", before, after, who, why, evidence)

    def rollback(self, name: str, *, alias: str, who: str, why: str, expected: Any) -> dict[str, Any]:
        """Point an alias at what it was promoted to before, and log it; each rollback goes one promotion back."""
        with self._database.write(f"rolling {name}@{alias} back", durable=True) as connection:
            _lock_name(connection, name)
            before = _pointer(connection, name, alias)
            if before is None:
                raise self._no_alias(connection, name, alias)
            self._check_unmoved(name, alias, before, expected)
            earlier = _promotions(connection, name, alias)[:-1]
            if not earlier:
                raise StoreError(
                    f"{name}@{alias} has pointed at nothing before {name}/{before}",
                    where=self._database.where,
                    hint=f"promote another version: 'mlframe versions {name}' lists them",
                )
            return _move(connection, name, alias, "rollback", before, earlier[-1], who, why, {})

    def history(self, name: str) -> list[dict[str, Any]]:
        """Return every move of a model's aliases, the first one first."""
        query = sa.select(db.log).where(db.log.c.name == name).order_by(db.log.c.id)
        with self._database.read("reading the history") as connection:
            if connection.execute(sa.select(db.names).where(db.names.c.name == name)).first() is None:
                raise self._unknown_name(connection, name)
            return [_as_move(dict(row)) for row in connection.execute(query).mappings()]

    def _put(self, expected: Mapping[str, tuple[Path, str]]) -> dict[str, tuple[str, int]]:
        """Copy files into the objects; what is copied must be what the manifest says."""
        files = {}
        with self._objects.scratch() as scratch:
            for number, (file, (path, digest)) in enumerate(expected.items()):
                copy = scratch / str(number)
                shutil.copyfile(path, copy)
                found = digest_of(copy)
                if found != digest:
                    raise _changed(path.parent, file, digest, found)
                files[file] = self._objects.put(copy, address=digest, durable=True)
        return files

    def _fetch(self, reference: str, file: str, record: Mapping[str, Any]) -> Path:
        """Return a file of a version after comparing its digest."""
        digest, size = record["sha256"], record["size"]
        path = self._objects.fetch(digest, size)
        if path is None:
            raise _changed(reference, file, f"{digest} ({size} bytes)", self._objects.describe(digest))
        return path

    def _check_unmoved(self, name: str, alias: str, before: int | None, expected: Any) -> None:
        """Refuse to move an alias that somebody else has moved since the decision was made."""
        at = None if before is None else f"{name}/{before}"
        if expected is not ANY and expected != at:
            raise MovedError(
                f"{name}@{alias} has been moved meanwhile: it points at {at or 'nothing'}, not at "
                f"{expected or 'nothing'}",
                where=self._database.where,
                hint=f"look at 'mlframe history {name}' and decide again",
            )

    def _resolve(self, connection: sa.Connection, reference: str) -> tuple[str, int]:
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            raise UnknownNameError(
                f"{reference!r} does not name a version",
                hint="write NAME/NUMBER, NAME@ALIAS, or NAME for its champion: email/7, email@champion, email",
            )
        name, number = match["name"], match["number"]
        if connection.execute(sa.select(db.names).where(db.names.c.name == name)).first() is None:
            raise self._unknown_name(connection, name)
        if number is None:
            alias = match["alias"] or CHAMPION
            found = _pointer(connection, name, alias)
            if found is None:
                raise self._no_alias(connection, name, alias)
            return name, found
        if connection.execute(sa.select(db.versions.c.number).where(_is(db.versions, name, int(number)))).first():
            return name, int(number)
        raise UnknownNameError(
            f"There is no version {reference!r}",
            where=self._database.where,
            hint=f"the versions are: {', '.join(_references(connection, name))}",
        )

    def _unknown_name(self, connection: sa.Connection, name: str) -> UnknownNameError:
        known = connection.execute(sa.select(db.names.c.name)).scalars().all()
        remedy = None if known else "the store has no version yet; train a model first"
        return UnknownNameError.from_name("model", name, known, where=self._database.where, remedy=remedy)

    def _no_alias(self, connection: sa.Connection, name: str, alias: str) -> UnknownNameError:
        references = _references(connection, name)
        if not references:
            return self._unknown_name(connection, name)
        known = connection.execute(sa.select(db.aliases.c.alias).where(db.aliases.c.name == name)).scalars().all()
        near = near_matches(alias, known)
        flag = "" if alias == CHAMPION else f" --alias {alias}"
        parts = [f"did you mean {name}@{near[0]}?"] if near else []
        parts.append(f"promote a version first: mlframe promote {references[0]}{flag}")
        parts.append(f"the versions are: {', '.join(references)}")
        return UnknownNameError(f"{name} has no {alias}", where=self._database.where, hint="; ".join(parts))


def _check_name(kind: str, name: str, *, where: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"This cannot be the {kind}",
            value=name,
            where=where,
            hint="use letters, digits, '.', '_' and '-', and begin with a letter or digit",
        )


def _is(table: sa.Table, name: str, number: int) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.name == name, table.c.number == number)


def _lock_name(connection: sa.Connection, name: str) -> None:
    connection.execute(sa.select(db.names).where(db.names.c.name == name).with_for_update())


def _check_new(connection: sa.Connection, name: str, digest: str, *, where: str) -> None:
    """Refuse a bundle that is a version of the name already."""
    files = db.version_files.c
    same = sa.select(files.number).where(files.name == name, files.file == MANIFEST, files.address == digest)
    found = connection.execute(same).scalar()
    if found is not None:
        raise StoreError(
            f"This bundle is in the store already: it is {name}/{found}",
            where=where,
            hint=f"use {name}/{found}, or give it another name with --name",
        )


def _take_number(connection: sa.Connection, name: str, number: int | None, *, where: str) -> int:
    """Return the next number of a name, or the one that is asked for; none is ever given twice."""
    take = db.names.update().where(db.names.c.name == name)
    if number is None:
        return int(connection.execute(take.values(last=db.names.c.last + 1).returning(db.names.c.last)).scalar_one())
    if number < 1 or not connection.execute(take.where(db.names.c.last < number).values(last=number)).rowcount:
        last = connection.execute(sa.select(db.names.c.last).where(db.names.c.name == name)).scalar_one()
        raise StoreError(
            f"{name}/{number} cannot be given: numbers only rise, and {name} has had {last} of them",
            where=where,
            hint=f"give a number above {last}, or none",
        )
    return number


def _pointer(connection: sa.Connection, name: str, alias: str) -> int | None:
    query = sa.select(db.aliases.c.number).where(db.aliases.c.name == name, db.aliases.c.alias == alias)
    found = connection.execute(query).scalar()
    return None if found is None else int(found)


def _promotions(connection: sa.Connection, name: str, alias: str) -> list[int]:
    """Return what an alias was promoted to and not rolled back from, the present one last."""
    stack: list[int] = []
    query = sa.select(db.log).where(db.log.c.name == name, db.log.c.alias == alias).order_by(db.log.c.id)
    for row in connection.execute(query).mappings():
        if row["action"] == "rollback":
            stack.pop()
        elif not stack or stack[-1] != row["after"]:  # promoting the champion again is no step to go back over
            stack.append(row["after"])
    return stack


def _move(
    connection: sa.Connection,
    name: str,
    alias: str,
    action: str,
    before: int | None,
    after: int,
    who: str,
    why: str,
    evidence: Mapping[str, Any],
) -> dict[str, Any]:
    connection.execute(db.aliases.delete().where(db.aliases.c.name == name, db.aliases.c.alias == alias))
    connection.execute(db.aliases.insert().values(name=name, alias=alias, number=after))
    values = {
        "name": name,
        "alias": alias,
        "action": action,
        "before": before,
        "after": after,
        "when": db.now(),
        "who": who,
        "why": why,
        "evidence": evidence,
    }
    connection.execute(db.log.insert().values(values))
    return _as_move(values)


def _references(connection: sa.Connection, name: str, limit: int = 20) -> list[str]:
    """Return the latest versions of a model, the latest first."""
    query = sa.select(db.versions.c.number).where(db.versions.c.name == name).order_by(db.versions.c.number.desc())
    return [f"{name}/{number}" for number in connection.execute(query.limit(limit)).scalars()]


def _as_dict(row: Mapping[str, Any], pointers: Sequence[Any]) -> dict[str, Any]:
    name, number = row["name"], row["number"]
    own = sorted(item.alias for item in pointers if item.name == name and item.number == number)
    return {**row, "reference": f"{name}/{number}", "aliases": own}


def _as_move(row: Mapping[str, Any]) -> dict[str, Any]:
    values = {key: value for key, value in row.items() if key not in ("id", "before", "after")}
    before = row["before"]
    return {
        **values,
        "from": None if before is None else f"{row['name']}/{before}",
        "to": f"{row['name']}/{row['after']}",
    }


def _changed(place: str | os.PathLike[str], file: str, expected: str, found: str) -> BundleError:
    return BundleError(
        f"The bundle's file {file!r} is not what was registered: expected {expected}, found {found}",
        where=str(place),
        hint="do not use it; roll back to another version, or train and promote again",
    )
