"""JSON that the database makes is, to the letter, what msgspec makes of the same values."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import psycopg
import pytest
from psycopg import sql

from api.http.numbers import number_text
from api.queries.record_fields import Field, Kind
from api.queries.record_json import value_json
from tests.stack import FreshSettings


@pytest.fixture(scope="module")
def connection(lasting_settings: FreshSettings) -> Iterator[psycopg.Connection]:
    """A connection whose own time zone is another than UTC."""
    url = lasting_settings().database_url
    with psycopg.connect(url, autocommit=True, options="-c timezone=Asia/Kathmandu") as opened:
        yield opened


def made(connection: psycopg.Connection, kind: Kind, value: object) -> str:
    """Return the JSON of a column with this value."""
    column = value_json(Field("v", "v", kind), sql.Identifier("r"))
    query = sql.SQL(
        "SELECT row_to_json(o)::text FROM (SELECT {} AS v FROM (SELECT %s::{} AS v) AS r) AS o"
    ).format(column, sql.SQL(kind.value))
    (text,) = connection.execute(query, (value,)).fetchone() or ("",)
    return str(text)


@pytest.mark.parametrize(
    "value",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(987, 6, 5, 4, 3, 2, tzinfo=UTC),
        datetime(2026, 11, 21, 10, 0, 0, 500_000, tzinfo=UTC),
        datetime(2026, 11, 21, 10, 0, 0, 123_000, tzinfo=UTC),
        datetime(2026, 11, 21, 10, 0, 0, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
)
def test_a_time(connection: psycopg.Connection, value: datetime) -> None:
    expected = msgspec.json.encode({"v": value}).decode()
    assert made(connection, Kind.TIME, value.isoformat()) == expected


@pytest.mark.parametrize(
    "value",
    ["87.500000000", "-3.000", "100", "0E-9", "1E-9", "1E+3", "1E+60", f"-{'123456789' * 5}.01"],
)
def test_a_number(connection: psycopg.Connection, value: str) -> None:
    number = Decimal(value)
    assert made(connection, Kind.NUMBER, number) == f'{{"v":{number_text(number)}}}'


def test_a_text(connection: psycopg.Connection) -> None:
    value = '"\\/\x01\x7f\t\n\N{LINE SEPARATOR} \N{GRINNING FACE} </script>'
    assert msgspec.json.decode(made(connection, Kind.TEXT, value)) == {"v": value}


def test_texts_and_nothing(connection: psycopg.Connection) -> None:
    assert made(connection, Kind.TEXTS, ["a,b", '"', ""]) == r'{"v":["a,b","\"",""]}'
    for kind in set(Kind) - {Kind.OBJECT}:
        assert made(connection, kind, None) == '{"v":null}'


def test_an_object_is_empty_where_there_is_none(connection: psycopg.Connection) -> None:
    assert made(connection, Kind.OBJECT, None) == '{"v":{}}'
