"""What a command says where PostgreSQL does not do what it is asked."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from deploy.errors import CommandError
from schemas.settings import variable


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn what PostgreSQL raises inside into one line that says what to look at.

    Raises:
        CommandError: the database does not answer, or refuses.
    """
    try:
        yield
    except psycopg.Error as error:
        away = isinstance(error, psycopg.OperationalError)
        what = "does not answer" if away else "refuses"
        said = " ".join(str(error).split())  # the server's messages have several lines
        raise CommandError(f"the database {what} ({variable('database_url')}): {said}") from error
