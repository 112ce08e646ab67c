"""Where lines come from: files, compressed or not, and standard input; NDJSON and CSV."""

import codecs
import csv
import gzip
import hashlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import cramjam

from deploy.importing.columns import FileColumns, HeaderError, RowError

Format = Literal["ndjson", "csv"]
STDIN = "-"
_BLOCK = 1 << 20
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_DELIMITERS = ",;\t|"
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
    if path.suffix.lower() in (".gz", ".zst"):
        path = path.with_suffix("")
    return _SUFFIXES.get(path.suffix.lower())


class Tape:
    """A binary stream read once from its beginning; what is done with is accepted, in order.

    What is compressed, or UTF-16 by its byte order mark, reads as the plain UTF-8 that it holds.
    The digest over everything accepted tells a later run that goes on from there whether the file
    still begins as it did.
    """

    def __init__(self, name: str) -> None:
        self._raw = sys.stdin.buffer if name == STDIN else _open(name)
        self._stream = _as_utf_8(_decompressed(self._raw))
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
        line: bytes = self._stream.readline(limit)
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


def _open(name: str) -> Any:
    return Path(name).open("rb")


def _decompressed(raw: Any) -> Any:
    """Return the stream that is in a compressed one, by the bytes that it begins with."""
    begins = raw.peek(4)[:4]
    if begins.startswith(_GZIP):
        return io.BufferedReader(gzip.open(raw, "rb"), _BLOCK)
    if begins == _ZSTD:
        return io.BufferedReader(_Zstd(raw), _BLOCK)
    return raw


def _as_utf_8(stream: Any) -> Any:
    """Return a UTF-16 stream as UTF-8, its byte order mark included; any other as it is."""
    if not stream.peek(2)[:2].startswith(_UTF_16):
        return stream
    return io.BufferedReader(_Utf16(stream), _BLOCK)


class _Blocks(io.RawIOBase):
    """A stream made of another one, block by block."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            block = self._raw.read(_BLOCK)
            self._ready = memoryview(self._next(block))
            if not block and not self._ready:
                return 0
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _next(self, block: bytes) -> bytes:
        """Return what a block becomes; the empty one is the end."""
        raise NotImplementedError


class _Zstd(_Blocks):
    """A Zstandard stream, decompressed."""

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__(raw)
        self._decompressor: Any = cramjam.zstd.Decompressor()

    def _next(self, block: bytes) -> bytes:
        if block:
            self._decompressor.decompress(block)
        return bytes(self._decompressor.flush())


class _Utf16(_Blocks):
    """A UTF-16 stream as UTF-8."""

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__(raw)
        self._decoder = codecs.getincrementaldecoder("utf-16")()
        self._begun = False

    def _next(self, block: bytes) -> bytes:
        try:
            text = self._decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            raise SourceError(f"is not UTF-16, as it begins: {error.reason}") from error
        mark = b"" if self._begun or not text else _BOM  # it stays: positions count it
        self._begun = self._begun or bool(text)
        return mark + text.encode()


def ndjson(tape: Tape, position: int, max_bytes: int, _columns: FileColumns) -> Iterator[Line]:
    """Yield the lines from `position` on, which must be a line's beginning; blank ones left out.

    A byte order mark is passed over, also where files with one were joined.

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
        value = line.rstrip(b"\r\n").removeprefix(_BOM)
        if value.strip():
            yield Line(number, value)


def _finish_line(tape: Tape, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = tape.readline(_BLOCK)


def csv_rows(
    tape: Tape, position: int, max_bytes: int, file_columns: FileColumns
) -> Iterator[Line]:
    """Yield the rows from `position` on as JSON objects; the first row of the file is the header.

    The header also tells the delimiter. Rows whose cells are all empty are left out.

    Raises:
        SourceError: there is no header or a bad one, or the file ends before `position`.
    """
    csv.field_size_limit(max_bytes)
    texts = _Texts(tape, max_bytes)
    try:
        header, delimiter = _header(texts)
        columns = file_columns.of(header)
    except (csv.Error, UnicodeDecodeError, HeaderError) as error:
        raise SourceError(f"header row: {error}") from error
    tape.skip_to(position)
    reader = csv.reader(texts, strict=True, delimiter=delimiter)
    while True:
        number = tape.lines + 1
        try:
            row = next(reader, None)
            if row is None:
                return
            if any(cell and not cell.isspace() for cell in row):
                yield Line(number, columns.encode(row))
        except (csv.Error, UnicodeDecodeError, UnicodeEncodeError, RowError) as error:
            yield Line(number, b"", str(error))


def _header(texts: "_Texts") -> tuple[list[str], str]:
    """Return the names of the first row, and the delimiter that splits it into most.

    Raises:
        csv.Error: the row is none of CSV.
        SourceError: there is no row.
    """
    first = next((line for line in texts if line.strip()), None)
    if first is None:
        raise SourceError("has no header row")
    while first.count('"') % 2 and (more := next(texts, None)) is not None:
        first += more
    lines = first.splitlines(keepends=True)
    rows = []
    for delimiter in _DELIMITERS:
        try:
            row = next(csv.reader(lines, strict=True, delimiter=delimiter))
        except csv.Error:
            continue  # quotes that end before another delimiter
        rows.append((row, delimiter))
    if not rows:
        raise csv.Error("a quoted name does not end where its cell does")
    return max(rows, key=lambda found: len(found[0]))


class _Texts:
    """The tape's lines as text. An iterator object, not a generator: it survives an error."""

    def __init__(self, tape: Tape, max_bytes: int) -> None:
        self._tape = tape
        self._max_bytes = max_bytes

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        first = not self._tape.position
        line = self._tape.readline(self._max_bytes)
        if not line:
            raise StopIteration
        if len(line) == self._max_bytes and not line.endswith(b"\n"):
            _finish_line(self._tape, line)
            raise csv.Error(f"a line is longer than {self._max_bytes:,} bytes")
        return (line.removeprefix(_BOM) if first else line).decode()


READERS = {"ndjson": ndjson, "csv": csv_rows}
"""Readers by format: (tape, position, most bytes of a record, columns of a CSV file) → lines."""
