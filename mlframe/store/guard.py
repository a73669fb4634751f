"""Turns what file systems and databases say into errors that tell the user what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from mlframe.errors import MlframeError, StoreError

__all__ = ["guarded"]

_FULL = (errno.ENOSPC, errno.EDQUOT)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def guarded(what: str, where: str) -> Iterator[None]:
    """Turn errors of files and the database inside the block into `StoreError`.

    Args:
        what: what is being done, as the end of "while …".
        where: the store's address, without a password.

    Raises:
        StoreError: with the reason, the place and what to do; the original is chained.
    """
    try:
        yield
    except MlframeError:
        raise
    except IntegrityError:  # a clash of keys is for the caller, who knows what it means
        raise
    except DBAPIError as error:
        raise _from_database(str(error.orig or error), what, where) from error
    except StatementError as error:  # a value was refused before the database saw it
        if isinstance(error.orig, MlframeError):
            raise error.orig from None
        raise
    except OSError as error:
        raise _from_files(error, what, where) from error


def _from_database(text: str, what: str, where: str) -> StoreError:
    lower = text.lower()
    if "locked" in lower or "busy" in lower:
        return StoreError(
            f"The store is locked by another process, while {what}",
            where=where,
            hint="wait until the other process is done, then run the same command again",
        )
    if "readonly" in lower or "read-only" in lower:
        return _read_only(what, where)
    if "disk is full" in lower or "disk full" in lower:
        return _full(what, where)
    if "disk i/o error" in lower:
        return StoreError(
            f"The store's disk failed ({text}), while {what}; nothing was half written",
            where=where,
            hint="check the disk's free space, your quota and its health, or move the store with 'store.root'",
        )
    if "not a database" in lower or "malformed" in lower:
        return StoreError(
            f"The store's database is damaged ({text}), while {what}",
            where=where,
            hint="restore the file from a backup, or move it away to begin an empty store",
        )
    return StoreError(
        f"The store's database refused ({text}), while {what}",
        where=where,
        hint="check that 'store.url' and 'store.root' name a place that exists and that you may write to",
    )


def _from_files(error: OSError, what: str, where: str) -> StoreError:
    if error.errno in _FULL:
        return _full(what, where)
    if error.errno in _READ_ONLY:
        return _read_only(what, f"{where} ({error.filename})" if error.filename else where)
    return StoreError(
        f"The store failed ({error}), while {what}",
        where=where,
        hint="check the disk, and that 'store.root' names a folder or an address that can be reached",
    )


def _full(what: str, where: str) -> StoreError:
    return StoreError(
        f"There is no space left for the store, while {what}; nothing was half written",
        where=where,
        hint="free some space, lower the size of the step cache, or move the store with 'store.root'",
    )


def _read_only(what: str, where: str) -> StoreError:
    return StoreError(
        f"The store cannot be written, while {what}",
        where=where,
        hint="give yourself write permission, or choose another folder with 'store.root'",
    )
