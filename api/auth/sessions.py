"""Browser sessions: a link that opens once becomes a cookie, and the cookie acts as an API key.

The cookie alone admits nobody: a browser sends it along with whatever another site makes it ask
for. Calls need a header beside it that only our own pages set, for no other site may add one
without being asked first (CORS), and the answer would be no. A page that is opened needs none, as
it changes nothing.
"""

import secrets

from fastapi import Request
from psycopg import AsyncConnection

from api.auth.credentials import hash_of
from api.queries import sessions as queries

LINK_SECONDS = 600
SESSION_SECONDS = 12 * 3600
COOKIE = "milestream_session"
HEADER = "x-milestream-page"
"""What our pages send with each call; never one of the headers that CORS allows."""
PAGES = ("/",)
"""What a browser opens with the cookie alone."""

_MAX_LENGTH = 128


async def make_link(connection: AsyncConnection, key_id: str) -> str:
    """Return the token of a link that can be opened once, within `LINK_SECONDS`."""
    token = secrets.token_urlsafe(32)
    await queries.delete_expired(connection)
    await queries.insert_link(connection, hash_of(token), key_id, LINK_SECONDS)
    return token


async def open_link(connection: AsyncConnection, token: str) -> str | None:
    """Return the cookie's value for who opens a link, None where it is no longer good."""
    if len(token) > _MAX_LENGTH:
        return None
    session = secrets.token_urlsafe(32)
    opened = await queries.open_link(connection, hash_of(token), hash_of(session), SESSION_SECONDS)
    if not opened:
        return None  # anybody may ask, and is to cost no more than a look at one link
    await queries.delete_expired(connection)
    return session


def cookie_of(request: Request) -> str | None:
    """Return the session that a request may use: that of a page, or of a call by our pages."""
    session = request.cookies.get(COOKIE)
    if session is None or len(session) > _MAX_LENGTH:
        return None
    opens_page = request.method in ("GET", "HEAD") and request.url.path in PAGES
    return session if opens_page or HEADER in request.headers else None
