"""API keys of the prediction server: the store keeps a digest, the key itself is shown once and kept nowhere.

A key is `mlf_<id>_<secret>` with 192 random bits of secret, so a plain SHA-256 is all that its digest needs: there is
no dictionary to try, and a server may look a key up by its digest in a table without leaking anything by its timing.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from mlframe.errors import ConfigError, UnknownNameError
from mlframe.store import metadata as db

__all__ = ["SCOPES", "Keys", "key_digest"]

SCOPES = {
    "predict": "ask for predictions",
    "feedback": "send labels and outcomes",
    "admin": "read metrics and the status page",
}
"""What a key may be good for; a key has exactly the scopes that it was made with."""

_KEY = re.compile(r"mlf_([0-9a-f]{8})_[0-9a-f]{48}")


def key_digest(key: str) -> str:
    """Return what the store keeps of a key: the SHA-256 of its text, in hex; any text has one."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class Keys:
    """Makes, lists and revokes keys.

    Args:
        database: the store's tables.
    """

    def __init__(self, database: db.Database) -> None:
        self._database = database

    def create(self, name: str, scopes: Sequence[str], *, who: str) -> tuple[str, dict[str, Any]]:
        """Make a key; see `Store.create_key`."""
        name = name.strip()
        if not name or len(name) > 80 or not name.isprintable():
            hint = "say in 1 to 80 printable characters who uses it, such as 'web shop'"
            raise ConfigError("A key needs a name", value=name, where="keys create", hint=hint)
        for scope in scopes:
            if scope not in SCOPES:
                raise UnknownNameError.from_name("scope", scope, SCOPES, where="--scope")
        if not scopes:
            raise ConfigError("A key without a scope opens nothing", where="--scope", hint=f"give {', '.join(SCOPES)}")
        key_id = secrets.token_hex(4)
        key = f"mlf_{key_id}_{secrets.token_hex(24)}"
        record = {
            "id": key_id,
            "name": name,
            "scopes": [scope for scope in SCOPES if scope in scopes],
            "created": db.now(),
            "who": who,
            "revoked": None,
        }
        with self._database.write("keeping the key", durable=True) as connection:
            connection.execute(db.keys.insert().values(**record, hash=key_digest(key)))
        return key, record

    def many(self) -> list[dict[str, Any]]:
        """Return every key's record, the oldest first."""
        with self._database.read("reading the keys") as connection:
            rows = connection.execute(sa.select(db.keys).order_by(db.keys.c.created, db.keys.c.id)).mappings().all()
        return [{name: value for name, value in row.items() if name != "hash"} for row in rows]

    def revoke(self, reference: str) -> dict[str, Any]:
        """Make a key useless for good; see `Store.revoke_key`."""
        whole = _KEY.fullmatch(reference)
        key_id = whole[1] if whole else reference
        mine = db.keys.c.id == key_id
        with self._database.write("revoking the key", durable=True) as connection:
            row = connection.execute(sa.select(db.keys).where(mine).with_for_update()).mappings().first()
            # A whole key is never repeated in the text of an error, and a wrong secret revokes nothing.
            if row is None or (whole and row["hash"] != key_digest(reference)):
                known = connection.execute(sa.select(db.keys.c.id)).scalars().all()
                shown = "mlf_…" if reference.startswith("mlf_") else reference
                raise UnknownNameError.from_name("key", shown, known, where="keys revoke", remedy="see 'keys list'")
            record = {name: value for name, value in row.items() if name != "hash"}
            if record["revoked"] is None:
                record["revoked"] = db.now()
                connection.execute(db.keys.update().where(mine).values(revoked=record["revoked"]))
        return record

    def table(self) -> dict[str, tuple[str, frozenset[str]]]:
        """Return what a server needs; see `Store.key_table`."""
        query = sa.select(db.keys.c.hash, db.keys.c.id, db.keys.c.scopes).where(db.keys.c.revoked.is_(None))
        with self._database.read("reading the keys") as connection:
            rows = connection.execute(query).all()
        return {row.hash: (row.id, frozenset(row.scopes)) for row in rows}
