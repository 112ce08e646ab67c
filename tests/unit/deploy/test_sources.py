"""Lines from files: positions, numbers, compression, and what is no line."""

import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import cramjam
import pytest

from deploy.importing.columns import FileColumns
from deploy.importing.sources import Line, SourceError, Tape, csv_rows, guess_format, ndjson

MANY = 10_000
EVENTS = FileColumns("events")


def lines_of(path: Path, position: int = 0, max_bytes: int = MANY) -> list[Line]:
    return list(ndjson(Tape(str(path)), position, max_bytes, EVENTS))


def rows_of(path: Path, position: int = 0) -> list[Line]:
    return list(csv_rows(Tape(str(path)), position, MANY, EVENTS))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_bytes_go_through_unchanged_and_blank_lines_are_left_out(path: Path) -> None:
    path.write_bytes(b' {"a" : 1.50}\r\n\n  \n{"b":"\xc3\xa4"}')
    assert lines_of(path) == [Line(1, b' {"a" : 1.50}'), Line(4, b'{"b":"\xc3\xa4"}')]


def test_a_byte_order_mark_is_no_part_of_the_first_line(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf{}\n{}\n")
    assert lines_of(path) == [Line(1, b"{}"), Line(2, b"{}")]


def test_a_byte_order_mark_is_passed_over_where_files_were_joined(path: Path) -> None:
    path.write_bytes(b"{}\n\xef\xbb\xbf{}\n")
    assert lines_of(path) == [Line(1, b"{}"), Line(2, b"{}")]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_utf_16_is_read_by_its_byte_order_mark(
    path: Path, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    text = '\ufeff{"userId":"ä🎉"}\r\n{"userId":"b"}\n'
    path.write_bytes(compress(text.encode(encoding)))
    lines = [Line(1, '{"userId":"ä🎉"}'.encode()), Line(2, b'{"userId":"b"}')]
    assert lines_of(path) == lines
    after_the_first = len(text.split("\n", maxsplit=1)[0].encode()) + 1
    assert lines_of(path, after_the_first) == lines[1:]
    path.write_bytes(compress('\ufeff"userId","note"\na,ä\n'.encode(encoding)))
    assert rows_of(path) == [Line(2, '{"userId":"a","note":"ä"}'.encode())]


def test_what_begins_as_utf_16_and_is_none_is_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00\xd8\x00\x00")
    with pytest.raises(SourceError, match="UTF-16"):
        lines_of(path)


def test_a_line_that_is_too_long_is_reported_and_passed_over(path: Path) -> None:
    path.write_bytes(b"x" * 500 + b"\n{}\n")
    first, second = lines_of(path, max_bytes=100)
    assert first.number == 1
    assert "longer than 100 bytes" in (first.problem or "")
    assert second == Line(2, b"{}")


def test_reading_goes_on_from_a_position_with_the_line_numbers_of_the_file(path: Path) -> None:
    path.write_bytes(b'{"a":1}\n{"a":2}\n{"a":3}\n')
    assert lines_of(path, position=8) == [Line(2, b'{"a":2}'), Line(3, b'{"a":3}')]


def test_a_file_that_became_shorter_is_refused(path: Path) -> None:
    path.write_bytes(b"{}\n")
    with pytest.raises(SourceError, match="shorter"):
        lines_of(path, position=4)


def test_the_digest_is_of_what_was_accepted_only(path: Path) -> None:
    path.write_bytes(b"{}\nbad\n")
    tape = Tape(str(path))
    lines = ndjson(tape, 0, MANY, EVENTS)
    next(lines)
    tape.accept()
    next(lines)
    assert tape.accepted == 3
    assert tape.digest() == hashlib.sha256(b"{}\n").hexdigest()


def test_a_row_with_line_ends_in_quotes_is_one_row(path: Path) -> None:
    path.write_bytes(b'\xef\xbb\xbfuserId,note\na,"x\ny"\nb,z\n')
    assert rows_of(path) == [
        Line(2, b'{"userId":"a","note":"x\\ny"}'),
        Line(4, b'{"userId":"b","note":"z"}'),
    ]


def test_rows_go_on_from_a_position_under_the_header(path: Path) -> None:
    path.write_bytes(b"userId\na\nb\n")
    assert rows_of(path, position=9) == [Line(3, b'{"userId":"b"}')]


def test_a_quoted_first_header_may_follow_a_byte_order_mark(path: Path) -> None:
    path.write_bytes(b'\xef\xbb\xbf"userId","eventId"\na,login\n')
    assert rows_of(path) == [Line(2, b'{"userId":"a","eventId":"login"}')]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_tells_the_delimiter(path: Path, delimiter: str) -> None:
    rows = [["userId", "eventId", "metadata.note"], ["a", "login", '"x,y;z|w\tv"']]
    path.write_text("\n".join(delimiter.join(row) for row in rows) + "\n")
    (row,) = rows_of(path)
    assert json.loads(row.value) == {
        "userId": "a",
        "eventId": "login",
        "metadata": {"note": "x,y;z|w\tv"},
    }


def test_rows_of_empty_cells_are_passed_over(path: Path) -> None:
    path.write_bytes(b"userId,eventId\n,\na,login\n , \n,,,,,\n\n")
    assert rows_of(path) == [Line(3, b'{"userId":"a","eventId":"login"}')]


def test_a_line_of_csv_has_a_bound(path: Path) -> None:
    path.write_bytes(b"userId\n" + b"x" * 3 * MANY + b"\nb\n")
    long, next_one = rows_of(path)
    assert (long.number, next_one) == (2, Line(3, b'{"userId":"b"}'))
    assert "longer than" in (long.problem or "")


def test_a_bad_row_is_reported_and_the_next_one_read(path: Path) -> None:
    path.write_bytes(b'userId,n\na\n"b"c,1\n\xff,1\nd,1\n')
    rows = rows_of(path)
    assert [row.number for row in rows] == [2, 3, 4, 5]
    assert [row.problem is None for row in rows] == [False, False, False, True]


@pytest.mark.parametrize("content", [b"", b"a,a\n1,2\n"])
def test_a_file_without_a_usable_header_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(SourceError, match="header"):
        rows_of(path)


def test_compressed_files_read_as_their_content(tmp_path: Path) -> None:
    content = b"".join(b'{"n":%d}\n' % n for n in range(200_000))
    plain, gz, zst = (tmp_path / name for name in ("f.ndjson", "f.ndjson.gz", "f.ndjson.zst"))
    plain.write_bytes(content)
    gz.write_bytes(gzip.compress(content))
    zst.write_bytes(bytes(cramjam.zstd.compress(content)))
    unnamed = tmp_path / "upload"  # what is in a file tells, not its name
    unnamed.write_bytes(gzip.compress(content))
    expected = lines_of(plain)
    assert lines_of(unnamed) == expected
    assert len(expected) == 200_000
    assert lines_of(gz) == expected
    assert lines_of(zst) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.ndjson", "ndjson"),
        ("a.jsonl.gz", "ndjson"),
        ("b.CSV", "csv"),
        ("b.csv.zst", "csv"),
        ("c.txt", None),
        ("-", None),
    ],
)
def test_the_format_is_guessed_from_the_name(name: str, expected: str | None) -> None:
    assert guess_format(name) == expected
