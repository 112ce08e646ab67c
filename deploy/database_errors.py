"""What a command says where PostgreSQL does not do what it is asked."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.errors import InvalidSchemaName, UndefinedColumn, UndefinedTable

from deploy.errors import CommandError
from schemas.settings import variable

_NOT_MADE = (InvalidSchemaName, UndefinedColumn, UndefinedTable)
_HINT = " Is the server running on that host"
"""Where libpq begins to guess."""


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn what PostgreSQL raises inside into one sentence that says what to do.

    Raises:
        CommandError: the database does not answer, or refuses.
    """
    try:
        yield
    except psycopg.Error as error:
        raise CommandError(_in_words(error)) from error


def _in_words(error: psycopg.Error) -> str:
    url = variable("database_url")
    said = " ".join(str(error).split())  # the server's messages have several lines
    _, fatal, refusal = said.partition("FATAL: ")
    if fatal:  # to log in; nothing has a code then
        return f"the database refuses: {refusal.strip()}; correct {url}, or try again"
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        return (
            f"the database does not answer: {said.partition(_HINT)[0]}; start it, or correct {url}"
        )
    if isinstance(error, _NOT_MADE):
        return f"the database is not up to date: {said}; run `milestream migrate`"
    return f"the database refuses ({url}): {said}"
