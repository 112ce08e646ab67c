"""Where lines come from: files, compressed or not, and standard input; NDJSON and CSV."""

import csv
import gzip
import hashlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import cramjam

from deploy.importing.columns import Columns, HeaderError, RowError

Format = Literal["ndjson", "csv"]
STDIN = "-"
_BLOCK = 1 << 20
_BOM = b"\xef\xbb\xbf"
_SUFFIXES: dict[str, Format] = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".csv": "csv",
}


class SourceError(ValueError):
    """The file as a whole cannot be read."""


class Line(NamedTuple):
    """One record of the file: the number of its first line, and its JSON or what is wrong."""

    number: int
    value: bytes
    problem: str | None = None


def guess_format(name: str) -> Format | None:
    """Return the format that a file's name says, None where it says none."""
    path = Path(name)
    if path.suffix in (".gz", ".zst"):
        path = path.with_suffix("")
    return _SUFFIXES.get(path.suffix.lower())


class Tape:
    """A binary stream read once from its beginning; what is done with is accepted, in order.

    The digest over everything accepted tells a later run that goes on from there whether the file
    still begins as it did.
    """

    def __init__(self, name: str) -> None:
        self._raw = sys.stdin.buffer if name == STDIN else _open(name)
        self._stream = _decompressed(name, self._raw)
        self._digest = hashlib.sha256()
        self._read: list[bytes] = []
        self.position = 0
        """Bytes read, after decompression."""
        self.accepted = 0
        """Bytes accepted, after decompression."""
        self.lines = 0
        """Line ends read."""
        self.size = 0 if name == STDIN else Path(name).stat().st_size
        """Bytes of the file as it lies on disk; 0 for standard input."""

    def readline(self, limit: int = -1) -> bytes:
        """Return the next line with its end; at most `limit` bytes; empty at the end."""
        line = self._stream.readline(limit)
        self._read.append(line)
        self.position += len(line)
        self.lines += line.endswith(b"\n")
        return line

    def accept(self) -> None:
        """Take note that all that was read is done with."""
        self._digest.update(b"".join(self._read))
        self._read.clear()
        self.accepted = self.position

    def skip_to(self, position: int) -> None:
        """Read on to `position`.

        Raises:
            SourceError: the file ends before.
        """
        self.accept()
        while self.position < position:
            block = self._stream.read(min(_BLOCK, position - self.position))
            if not block:
                raise SourceError("is shorter than what was imported of it")
            self._digest.update(block)
            self.position += len(block)
            self.lines += block.count(b"\n")
        self.accepted = self.position

    def digest(self) -> str:
        """Return the SHA-256 of everything accepted."""
        return self._digest.hexdigest()

    def bytes_on_disk(self) -> int:
        """Return how much of the file was read, before decompression (for the progress bar)."""
        return self.position if self._stream is self._raw else self._raw.tell()

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self._raw is not sys.stdin.buffer:
            self._raw.close()


def _open(name: str) -> BinaryIO:
    return Path(name).open("rb")


def _decompressed(name: str, raw: BinaryIO) -> BinaryIO:
    if name.endswith(".gz"):
        return gzip.open(raw, "rb")  # type: ignore[return-value]
    if name.endswith(".zst"):
        return io.BufferedReader(_Zstd(raw), _BLOCK)
    return raw


class _Zstd(io.RawIOBase):
    """A Zstandard stream, decompressed block by block."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._decompressor: Any = cramjam.zstd.Decompressor()
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            block = self._raw.read(_BLOCK)
            if not block:
                return 0
            self._decompressor.decompress(block)
            self._ready = memoryview(bytes(self._decompressor.flush()))
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


def ndjson(tape: Tape, position: int, max_bytes: int) -> Iterator[Line]:
    """Yield the lines from `position` on, which must be a line's beginning; blank ones left out.

    Raises:
        SourceError: the file ends before `position`.
    """
    tape.skip_to(position)
    while line := tape.readline(max_bytes + 2):
        number = tape.lines + (0 if line.endswith(b"\n") else 1)
        if len(line) > max_bytes and not line.endswith(b"\n"):
            _finish_line(tape, line)
            yield Line(number, b"", f"is longer than {max_bytes:,} bytes")
            continue
        value = line.rstrip(b"\r\n")
        if number == 1:
            value = value.removeprefix(_BOM)
        if value.strip():
            yield Line(number, value)


def _finish_line(tape: Tape, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = tape.readline(_BLOCK)


def csv_rows(tape: Tape, position: int, max_bytes: int) -> Iterator[Line]:
    """Yield the rows from `position` on as JSON objects; the first row of the file is the header.

    Raises:
        SourceError: there is no header or a bad one, or the file ends before `position`.
    """
    csv.field_size_limit(max_bytes)
    texts = _Texts(tape)
    try:
        header = next(csv.reader(texts, strict=True), None)
        if header is None:
            raise SourceError("has no header row")
        columns = Columns([header[0].removeprefix("\ufeff"), *header[1:]])
    except (csv.Error, UnicodeDecodeError, HeaderError) as error:
        raise SourceError(f"header row: {error}") from error
    tape.skip_to(position)
    reader = csv.reader(texts, strict=True)
    while True:
        number = tape.lines + 1
        try:
            row = next(reader, None)
            if row is None:
                return
            if row:
                yield Line(number, columns.encode(row))
        except (csv.Error, UnicodeDecodeError, UnicodeEncodeError, RowError) as error:
            yield Line(number, b"", str(error))


class _Texts:
    """The tape's lines as text. An iterator object, not a generator: it survives an error."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._tape.readline()
        if not line:
            raise StopIteration
        return line.decode()


READERS = {"ndjson": ndjson, "csv": csv_rows}
"""Readers by format: (tape, position, most bytes of a record) → lines."""
