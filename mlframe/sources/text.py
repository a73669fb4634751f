"""Says where a text leaves its encoding, and which other encodings fit."""

from __future__ import annotations

from mlframe.errors import DataError

__all__ = ["refuse_encoding"]

CANDIDATES = ("utf-8", "utf-16", "cp1252", "shift_jis", "gb18030", "latin-1")
BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


def refuse_encoding(content: bytes, encoding: str, address: str, error: UnicodeDecodeError | None) -> DataError:
    """Return the error for bytes that are no text in the declared encoding.

    Args:
        content: the file, decompressed.
        encoding: the declared one.
        address: the file.
        error: where decoding failed; None when the bytes decode but hold NUL characters.
    """
    fitting = _fitting(content, encoding)
    offset = error.start if error else content.index(b"\0")
    line = content.count(b"\n", 0, offset) + 1
    return DataError(
        f"The file is not {encoding}: byte {offset} (line {line}) fits no character",
        value=content[max(0, offset - 10) : offset + 10],
        where=f"{address}:{line}",
        hint=f"try data.source.encoding={' or '.join(fitting)}" if fitting else "is it a text file at all?",
    )


def _fitting(content: bytes, encoding: str) -> list[str]:
    for mark, name in BOMS.items():
        if content.startswith(mark) and name != encoding:
            return [name]
    if b"\0" in content[:1000]:
        return ["utf-16-le" if content[1:2] == b"\0" else "utf-16-be"]
    fitting = []
    for name in CANDIDATES:
        if name in (encoding.lower(), "utf-16"):
            continue
        try:
            content.decode(name)
        except UnicodeDecodeError:
            continue
        fitting.append(name)
    return fitting
