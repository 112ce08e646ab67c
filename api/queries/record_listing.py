"""The query parameters of a list: filters, order and fields."""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from fastapi import Request

from api.http.problems import Problem, invalid
from api.queries.record_fields import Field, Records
from api.queries.record_filters import EVERYTHING, Where, compile_filters
from schemas.definitions import decode_numbers

DEFAULT_LIMIT = 20
MAX_LIMIT = 1000
MAX_OFFSET = 10**12
MAX_SORTS = 5

_WHOLE = re.compile(r"[0-9]{1,13}")


class Sort(NamedTuple):
    """One field to sort by."""

    field: Field
    descending: bool


@dataclass(frozen=True)
class Listing:
    """A parsed list request.

    Attributes:
        sorts: in order of weight; the id, which no two records share, comes after.
        names: the fields of the record to return, in the record's own order.
    """

    offset: int
    limit: int
    sorts: tuple[Sort, ...]
    where: Where
    names: tuple[str, ...]
    with_total: bool


def parse(request: Request, records: Records) -> Listing:
    """Return the list request that the query parameters describe.

    Raises:
        Problem: 400 naming the parameter.
    """
    parameters = request.query_params
    filters = _json("filters", parameters.get("filters"))
    return Listing(
        offset=whole("offset", parameters.get("offset"), default=0, least=0, most=MAX_OFFSET),
        limit=whole(
            "limit", parameters.get("limit"), default=DEFAULT_LIMIT, least=1, most=MAX_LIMIT
        ),
        sorts=_sorts(_json("sortBy", parameters.get("sortBy")), records),
        where=EVERYTHING if filters is None else compile_filters(filters, records),
        names=names_of(parameters.get("fields"), records),
        with_total=_flag("fetchTotalCount", parameters.get("fetchTotalCount")),
    )


def names_of(text: str | None, records: Records) -> tuple[str, ...]:
    """Return the fields that the parameter `fields` names, all by default.

    Raises:
        Problem: 400.
    """
    requested = _json("fields", text)
    if requested is None:
        return records.names
    if not isinstance(requested, list) or not requested:
        raise invalid("fields", 'must be a JSON list of names, for example ["id","createdAt"]')
    for name in requested:
        if name not in records.names:
            raise invalid("fields", f"may hold {', '.join(records.names)}")
    return tuple(name for name in records.names if name in requested)


def whole(name: str, text: str | None, *, default: int, least: int, most: int) -> int:
    """Return the number in a query parameter, `default` where it is absent.

    Raises:
        Problem: 400.
    """
    if text is None:
        return default
    if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
        raise invalid(name, f"must be a whole number from {least} to {most}")
    return int(text)


def _flag(name: str, text: str | None) -> bool:
    if text not in (None, "true", "false"):
        raise invalid(name, "must be true or false")
    return text == "true"


def _json(name: str, text: str | None) -> Any:
    """Return a parameter that is JSON, with exact numbers; None where it is absent."""
    if text is None:
        return None
    try:
        value = decode_numbers(text.encode())
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        raise invalid(name, "must be JSON") from None
    if value is None:
        raise invalid(name, "must not be null")
    return value


def _sorts(requested: Any, records: Records) -> tuple[Sort, ...]:
    if requested is None:
        created_at = records.field("createdAt")
        assert created_at is not None
        return (Sort(created_at, descending=True),)
    if not isinstance(requested, list) or not 1 <= len(requested) <= MAX_SORTS:
        raise _bad_sort(records)
    return tuple(_sort(item, records) for item in requested)


def _sort(item: Any, records: Records) -> Sort:
    if not isinstance(item, dict) or not {"fieldSlug"} <= set(item) <= {"fieldSlug", "order"}:
        raise _bad_sort(records)
    slug, order = item["fieldSlug"], item.get("order", "ASC")
    field = records.field(slug) if isinstance(slug, str) else None
    if field is None or order not in ("ASC", "DESC"):
        raise _bad_sort(records)
    return Sort(field, order == "DESC")


def _bad_sort(records: Records) -> Problem:
    names = ", ".join(field.name for field in records.fields)
    return invalid(
        "sortBy",
        f'must be a list of 1 to {MAX_SORTS} {{"fieldSlug","order"}}, order ASC or DESC, '
        f"fieldSlug one of {names}",
    )
