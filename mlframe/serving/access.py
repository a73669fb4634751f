"""Who may ask: API keys, looked up by their digest in a table that is read anew from the store."""

from __future__ import annotations

from collections.abc import Mapping

from mlframe.serving.messages import RequestError

__all__ = ["Access"]

Table = Mapping[str, tuple[str, frozenset[str]]]


class Access:
    """Checks the key of a request.

    Args:
        table: digest of a key to its id and scopes; None where keys are off.
    """

    def __init__(self, table: Table | None) -> None:
        self.table = table

    def caller(self, headers: Mapping[str, str], scope: str | None) -> str | None:
        """Return the id of the key that a request brings.

        Args:
            headers: by name in lower case.
            scope: what the key must be good for; None for what everybody may.

        Raises:
            RequestError: 401 without a known key, 403 with one that is not good for it.
        """
        if self.table is None or scope is None:
            return None
        from mlframe.store.keys import key_digest

        kind, _, key = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not key:
            key = headers.get("x-api-key", "")
        if not key:
            raise RequestError(
                401, "This server wants an API key: send 'Authorization: Bearer KEY' or 'X-API-Key: KEY'"
            )
        found = self.table.get(key_digest(key.strip()))
        if found is None:
            raise RequestError(401, "The API key is unknown or has been revoked")
        if scope not in found[1]:
            raise RequestError(403, f"The API key is not good for {scope!r}, only for {', '.join(sorted(found[1]))}")
        return found[0]
