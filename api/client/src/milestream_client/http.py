"""Clients of the HTTP API: `Client` waits, `AsyncClient` awaits; they do the same."""

import asyncio
import email.utils
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx
import msgspec

from milestream_client import answers, calls
from milestream_client.answers import Answer, Misunderstood
from milestream_client.calls import PAGE, RECORDS, Call, Page, Slug
from milestream_client.errors import refusal
from milestream_client.retrying import Ask, Conversation, Heard, Lost, conversation
from milestream_client.writes import Write

A = TypeVar("A")
R = TypeVar("R")

DEADLINE_SECONDS = 30.0
SortBy = Sequence[tuple[str, Literal["ASC", "DESC"]]]
OLDEST_FIRST: SortBy = (("createdAt", "ASC"),)
"""What is written while a list is read comes at its end. What no longer fits the filters, or begins
to, moves the pages after it all the same."""

_TOO_LATE = "no whole answer came in time"
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class _Calls:
    """What both clients know: who they are, how to try, and what an answer means."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        secret: str | None = None,
        token: str | None = None,
        deadline: float = DEADLINE_SECONDS,
        **options: Any,
    ) -> None:
        """Take an API key (`key` and `secret`) or an end user's `token`.

        Args:
            url: where the API is, `https://milestream.example` for one.
            deadline: in seconds: how long a call may take, all its tries and pauses together.
            options: further ones of `httpx.Client` or `httpx.AsyncClient`, `verify` for one.

        Raises:
            ValueError: neither a key nor a token is given, or both; or `url` is no address.
        """
        _check_address(url)
        if (token is None) == (key is None) or (key is None) != (secret is None):
            raise ValueError("give key and secret, or token")
        if token is not None:
            login = {"authorization": f"Bearer {token}"}
        else:
            login = {"x-api-key": key or "", "x-api-secret": secret or ""}
        self._deadline = deadline
        self._options = {**options, "base_url": url, "headers": {**login, **_json(options)}}

    def _sending(
        self, write: Write[A], deadline: float | None, *, dry_run: bool, trace: bool
    ) -> tuple[Call, Conversation[Answer[A]]]:
        def understand(heard: Heard) -> Answer[A]:
            return answers.read(write, heard.status, heard.body, heard.request_id)

        call = calls.call_of(write, dry_run=dry_run, trace=trace)
        return call, self._talk(understand, deadline, repeatable=dry_run or write.may_repeat())

    def _reading(self, type_: type[R], deadline: float | None) -> Conversation[R]:
        def understand(heard: Heard) -> R:
            if heard.status >= 300:
                raise refusal(heard.status, heard.body, heard.request_id)
            try:
                return msgspec.json.decode(heard.body, type=type_)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise Misunderstood(str(error)) from error

        return self._talk(understand, deadline, repeatable=True)

    def _talk(
        self, understand: Callable[[Heard], R], deadline: float | None, *, repeatable: bool
    ) -> Conversation[R]:
        seconds = self._deadline if deadline is None else deadline
        return conversation(understand, seconds, repeatable=repeatable, clock=time.monotonic)


class Client(_Calls):
    """Sends and reads over HTTP, waiting for each answer. It may be shared by threads.

    `with Client(url, key=…, secret=…) as client: client.send(…)`
    """

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._http = httpx.Client(**self._options)

    __init__.__doc__ = _Calls.__init__.__doc__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def send(
        self,
        write: Write[A],
        *,
        deadline: float | None = None,
        dry_run: bool = False,
        trace: bool = False,
    ) -> Answer[A]:
        """Send a write, and return what it led to.

        What has an identity is sent as often as it takes, and counted once. Any other is sent
        again only while it cannot have been taken.

        Args:
            deadline: in seconds; the client's by default.
            dry_run: say what it would lead to, and change nothing.
            trace: say which rules were looked at.

        Raises:
            InvalidWrite: it was not sent.
            Refused: it changed nothing, as far as `taken` of the error is False.
            Unanswered: no answer came in time, or none to what must not be sent twice; `taken` is
                None where nobody knows whether it counts.
        """
        return self._held(*self._sending(write, deadline, dry_run=dry_run, trace=trace))

    def get(self, path: str, *, deadline: float | None = None, **query: str) -> Any:
        """Return the JSON of any read of the API, `get("/v1/user/joe/points")` for one.

        Raises:
            Refused: 404 for one.
            Unanswered: no answer came in time.
        """
        call = Call(method="GET", path=path, query=query)
        return self._held(call, self._reading(object, deadline))

    def record(self, slug: Slug, record_id: str, *, deadline: float | None = None) -> Any:
        """Return one record: a struct of `records` where `RECORDS` has one, else its JSON.

        Raises:
            Refused: 404, there is none.
            Unanswered: no answer came in time.
        """
        call = Call(method="GET", path=calls.records_path(slug, record_id))
        return self._held(call, self._reading(RECORDS.get(slug, dict), deadline))

    def records(
        self,
        slug: Slug,
        *,
        filters: Mapping[str, Any] | None = None,
        sort_by: SortBy = OLDEST_FIRST,
        page: int = PAGE,
    ) -> Iterator[Any]:
        """Yield all records that fit, read page by page as they are asked for; see `record`.

        It is not one moment's list: a record that comes to fit, or ceases to, while it is read
        moves those after it, so that one may be left out or come twice.

        Raises:
            Refused: `filters` name no field of theirs, for one.
            Unanswered: no answer came in time, for one page.
        """
        path = calls.records_path(slug)
        return self._all(path, RECORDS.get(slug, dict), page, filters, sort_by)

    def definitions(self, kind: str, *, page: int = PAGE) -> Iterator[dict[str, Any]]:
        """Yield the definitions of a kind, `challenge` for one, in the order of their making.

        Raises:
            Refused: there is no such kind, for one.
            Unanswered: no answer came in time.
        """
        return self._all(f"/definitions/{kind}", dict, page)

    def _all(
        self,
        path: str,
        type_: type[Any],
        page: int,
        filters: Mapping[str, Any] | None = None,
        sort_by: SortBy = (),
    ) -> Iterator[Any]:
        offset = 0
        while True:
            call = calls.page_of(path, offset, page, filters, sort_by)
            found = self._held(call, self._reading(Page, None))
            for each in found.data:
                yield msgspec.json.decode(each, type=type_)
            if len(found.data) < page:
                return
            offset += page

    def _held(self, call: Call, talk: Conversation[R]) -> R:
        """Hold a conversation to its end."""
        heard: Heard | Lost | None = None
        while True:
            try:
                step = talk.send(heard)
            except StopIteration as end:
                result: R = end.value
                return result
            if isinstance(step, Ask):
                heard = self._heard(call, step.seconds)
            else:
                time.sleep(step.seconds)
                heard = None

    def _heard(self, call: Call, seconds: float) -> Heard | Lost:
        end = time.monotonic() + seconds
        request = self._http.build_request(**_request(call, end))
        try:
            response = self._http.send(request, stream=True)
            try:
                return _understood(response, _read(response, end))
            finally:
                response.close()
        except httpx.RequestError as error:
            return _lost(error)


class AsyncClient(_Calls):
    """Sends and reads over HTTP; like `Client`, for programs that await."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._http = httpx.AsyncClient(**self._options)

    __init__.__doc__ = _Calls.__init__.__doc__

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def send(
        self,
        write: Write[A],
        *,
        deadline: float | None = None,
        dry_run: bool = False,
        trace: bool = False,
    ) -> Answer[A]:
        """See `Client.send`."""
        return await self._held(*self._sending(write, deadline, dry_run=dry_run, trace=trace))

    async def get(self, path: str, *, deadline: float | None = None, **query: str) -> Any:
        """See `Client.get`."""
        call = Call(method="GET", path=path, query=query)
        return await self._held(call, self._reading(object, deadline))

    async def record(self, slug: Slug, record_id: str, *, deadline: float | None = None) -> Any:
        """See `Client.record`."""
        call = Call(method="GET", path=calls.records_path(slug, record_id))
        return await self._held(call, self._reading(RECORDS.get(slug, dict), deadline))

    def records(
        self,
        slug: Slug,
        *,
        filters: Mapping[str, Any] | None = None,
        sort_by: SortBy = OLDEST_FIRST,
        page: int = PAGE,
    ) -> AsyncIterator[Any]:
        """See `Client.records`."""
        path = calls.records_path(slug)
        return self._all(path, RECORDS.get(slug, dict), page, filters, sort_by)

    def definitions(self, kind: str, *, page: int = PAGE) -> AsyncIterator[dict[str, Any]]:
        """See `Client.definitions`."""
        return self._all(f"/definitions/{kind}", dict, page)

    async def _all(
        self,
        path: str,
        type_: type[Any],
        page: int,
        filters: Mapping[str, Any] | None = None,
        sort_by: SortBy = (),
    ) -> AsyncIterator[Any]:
        offset = 0
        while True:
            call = calls.page_of(path, offset, page, filters, sort_by)
            found = await self._held(call, self._reading(Page, None))
            for each in found.data:
                yield msgspec.json.decode(each, type=type_)
            if len(found.data) < page:
                return
            offset += page

    async def _held(self, call: Call, talk: Conversation[R]) -> R:
        """Hold a conversation to its end."""
        heard: Heard | Lost | None = None
        while True:
            try:
                step = talk.send(heard)
            except StopIteration as end:
                result: R = end.value
                return result
            if isinstance(step, Ask):
                heard = await self._heard(call, step.seconds)
            else:
                await asyncio.sleep(step.seconds)
                heard = None

    async def _heard(self, call: Call, seconds: float) -> Heard | Lost:
        request = self._http.build_request(**_request(call, time.monotonic() + seconds))
        try:
            async with asyncio.timeout(seconds):
                response = await self._http.send(request)
        except TimeoutError:
            return Lost(_TOO_LATE, sent=True)
        except httpx.RequestError as error:
            return _lost(error)
        return _understood(response, response.content)


class _Left(dict[str, float]):
    """The seconds that each phase of a try may take, as httpx asks for them: what is left of the
    try when the phase begins. To connect may take half of it, so that there is time to say so."""

    def __init__(self, end: float) -> None:
        super().__init__()
        self._end = end

    def get(self, phase: str, _: Any = None) -> float:
        """Return the seconds that are left for a phase."""
        left = max(self._end - time.monotonic(), 0.001)
        return left / 2 if phase in ("pool", "connect") else left


def _read(response: httpx.Response, end: float) -> bytes:
    """Return the whole body, if it comes before `end`.

    Raises:
        httpx.ReadTimeout: it does not.
    """
    body = bytearray()
    for part in response.iter_bytes():
        if time.monotonic() >= end:
            raise httpx.ReadTimeout(_TOO_LATE)
        body += part
    return bytes(body)


def _check_address(url: str) -> None:
    """Raise `ValueError` for what would only be found out, again and again, by trying."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"url: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError("url: must begin with http:// or https://, and name a host")


def _json(options: dict[str, Any]) -> dict[str, str]:
    """Return headers that all calls have; those of the caller's own count."""
    given: Mapping[str, str] = options.pop("headers", {})
    return {"content-type": "application/json", **given}


def _request(call: Call, end: float) -> dict[str, Any]:
    return {
        "method": call.method,
        "url": call.path,
        "params": call.query,
        "content": call.content,
        "extensions": {"timeout": _Left(end)},
    }


def _understood(response: httpx.Response, body: bytes) -> Heard:
    return Heard(
        response.status_code,
        body,
        _seconds(response.headers.get("retry-after")),
        response.headers.get("x-request-id"),
    )


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds that a `Retry-After` asks for, in either of its forms."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        moment = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(moment.timestamp() - time.time(), 0.0)


def _lost(error: httpx.RequestError) -> Lost:
    why = str(error) or type(error).__name__
    return Lost(why, sent=not isinstance(error, _NOT_SENT))
