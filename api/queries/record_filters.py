"""Filters of a list: compiles a tree of conditions into SQL and its parameters.

Every value is a bound parameter and checked against its field's kind; names of columns come from
`record_fields` alone. A condition that no record can match is refused, because a mistyped filter
must not look like one without results.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from psycopg import sql

from api.http.problems import Problem, clipped, invalid
from api.queries.record_fields import Field, Kind, Records
from schemas.ids import is_uuid
from schemas.instants import InstantError, parse_instant

MAX_DEPTH = 5
MAX_CONDITIONS = 50
MAX_LIST = 1000
MAX_DIGITS = 100
_FEW = 10
"""How many texts a message lists."""

_COMPARISONS = {
    "equals": sql.SQL("{} = {}"),
    "not_equals": sql.SQL("{} <> {}"),
    "greater_than": sql.SQL("{} > {}"),
    "greater_than_or_equals": sql.SQL("{} >= {}"),
    "less_than": sql.SQL("{} < {}"),
    "less_than_or_equals": sql.SQL("{} <= {}"),
}
_ORDERING = frozenset(_COMPARISONS) - {"equals", "not_equals"}
_MEMBERSHIPS = {
    "in": sql.SQL("{0} = ANY({1})"),
    # ALL of an empty list is true for null too.
    "not_in": sql.SQL("({0} <> ALL({1}) AND {0} IS NOT NULL)"),
}
PRESENCES = {"exists": sql.SQL("{} IS NOT NULL"), "not_exists": sql.SQL("{} IS NULL")}
OPERATORS = (*_COMPARISONS, *_MEMBERSHIPS, "contains", *PRESENCES)


def operators_of(kind: Kind) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the operators that compare a field of a kind with one value, and with a list."""
    if kind is Kind.TEXTS:
        return ("contains",), ()
    single = [name for name in _COMPARISONS if kind is not Kind.UUID or name not in _ORDERING]
    return (*single, *(("contains",) if kind is Kind.TEXT else ())), tuple(_MEMBERSHIPS)


_ONE = {
    Kind.UUID: sql.SQL("%s::uuid"),
    Kind.TEXT: sql.SQL("%s::text"),
    Kind.NUMBER: sql.SQL("%s::numeric"),
    Kind.TIME: sql.SQL("%s::timestamptz"),
}
_MANY = {
    Kind.UUID: sql.SQL("%s::uuid[]"),
    Kind.TEXT: sql.SQL("%s::text[]"),
    Kind.NUMBER: sql.SQL("%s::numeric[]"),
    Kind.TIME: sql.SQL("%s::timestamptz[]"),
}


class Where(NamedTuple):
    """A condition in SQL, and the values of its placeholders."""

    text: sql.Composable
    values: tuple[Any, ...]


EVERYTHING = Where(sql.SQL("TRUE"), ())


def compile_filters(tree: object, records: Records) -> Where:
    """Return the SQL of a tree of conditions.

    A field without a value makes every operator but `not_exists` false: SQL's null does so, because
    no condition is negated.

    Raises:
        Problem: 400 that names `filters` and the place in it.
    """
    return _Compiler(records).node(tree, "", 1)


def bad(at: str, message: str) -> Problem:
    """Return the 400 that names `filters`, and the place in it."""
    return invalid("filters", f"{at.lstrip('.')}: {message}" if at else message)


class _Compiler:
    """Walks a tree once; counts its conditions as it goes."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._conditions = 0

    def node(self, node: object, at: str, depth: int) -> Where:
        if not isinstance(node, Mapping):
            raise bad(at, "must be an object")
        if "conditions" in node or "type" in node:
            return self._group(node, at, depth)
        return self._condition(node, at)

    def _group(self, node: Mapping[str, Any], at: str, depth: int) -> Where:
        if depth > MAX_DEPTH:
            raise bad("", f"must not be nested deeper than {MAX_DEPTH}")
        _only(node, ("type", "conditions"), at)
        joiner = node.get("type")
        if joiner not in ("AND", "OR"):
            raise bad(f"{at}.type", "must be AND or OR")
        children = node.get("conditions")
        if not isinstance(children, list):
            raise bad(f"{at}.conditions", "must be a list")
        parts = [
            self.node(child, f"{at}.conditions[{i}]", depth + 1) for i, child in enumerate(children)
        ]
        if not parts:
            if joiner == "OR":
                raise bad(f"{at}.conditions", "must have a condition for OR, or nothing fulfils it")
            return EVERYTHING
        between = sql.SQL(" AND ") if joiner == "AND" else sql.SQL(" OR ")
        text = sql.SQL("({})").format(between.join([part.text for part in parts]))
        return Where(text, tuple(value for part in parts for value in part.values))

    def _condition(self, node: Mapping[str, Any], at: str) -> Where:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise bad("", f"must not have more than {MAX_CONDITIONS} conditions")
        _only(node, ("fieldSlug", "operator", "value"), at)
        slug = node.get("fieldSlug")
        field = self._records.field(slug) if isinstance(slug, str) else None
        if field is None:
            names = ", ".join(f.name for f in self._records.fields)
            raise bad(f"{at}.fieldSlug", f"must be one of {names}")
        operator = node.get("operator")
        if operator not in OPERATORS:
            raise bad(f"{at}.operator", f"must be one of {', '.join(OPERATORS)}")
        if operator in PRESENCES:
            if node.get("value") not in (None, True):
                raise bad(f"{at}.value", f"must be left out for {operator}")
            return Where(PRESENCES[operator].format(sql.Identifier(field.column)), ())
        if "value" not in node:
            raise bad(f"{at}.value", f"must be given for {operator}")
        return _compare(field, operator, node["value"], f"{at}.value")


def _only(node: Mapping[str, Any], known: Sequence[str], at: str) -> None:
    for key in node:
        if key not in known:
            raise bad(at, f"{clipped(key)!r} is not known here; known: {', '.join(known)}")


def _compare(field: Field, operator: str, value: object, at: str) -> Where:
    """Return the SQL of one comparison.

    Raises:
        Problem: 400, the field cannot have the value, or the operator is not for such fields.
    """
    column = sql.Identifier(field.column)
    if operator in _MEMBERSHIPS:
        return _one_of(field, column, operator, value, at)
    if operator == "contains":
        return _contains(field, column, value, at)
    if field.kind is Kind.TEXTS or (operator in _ORDERING and field.kind is Kind.UUID):
        raise _not_for(field, operator, at)
    left = _comparable(field, column, operator)
    text = _COMPARISONS[operator].format(left, _ONE[field.kind])
    return Where(text, (parameter(field, value, at),))


def _comparable(field: Field, column: sql.Composable, operator: str) -> sql.Composable:
    """Order texts by code point, whatever the database's collation."""
    if field.kind is Kind.TEXT and operator in _ORDERING:
        return sql.SQL('{} COLLATE "C"').format(column)
    return column


def _one_of(field: Field, column: sql.Composable, operator: str, value: object, at: str) -> Where:
    if not isinstance(value, list) or len(value) > MAX_LIST:
        raise bad(at, f"must be a list of at most {MAX_LIST} values for {operator}")
    if field.kind is Kind.TEXTS:
        raise _not_for(field, operator, at)
    if operator == "in" and not value:
        raise bad(
            at, f"must have a value that {field.name} may be, for nothing is in an empty list"
        )
    values = [parameter(field, item, f"{at}[{number}]") for number, item in enumerate(value)]
    return Where(_MEMBERSHIPS[operator].format(column, _MANY[field.kind]), (values,))


def _contains(field: Field, column: sql.Composable, value: object, at: str) -> Where:
    if field.kind not in (Kind.TEXT, Kind.TEXTS):
        raise _not_for(field, "contains", at)
    part = Field(field.name, field.column, Kind.TEXT)  # one text is searched in a list
    text = str(parameter(part, value, at))
    if field.values and not any(text in whole for whole in field.values):
        raise bad(at, f"must be in {_worded(field)}, as {field.name} is")
    template = "%s::text = ANY({})" if field.kind is Kind.TEXTS else "strpos({}, %s::text) > 0"
    return Where(sql.SQL(template).format(column), (text,))


def _not_for(field: Field, operator: str, at: str) -> Problem:
    return bad(at.removesuffix("value") + "operator", f"{operator} is not for {field.name}")


_SHAPES = {
    Kind.UUID: "a UUID",
    Kind.TEXT: "a string",
    Kind.NUMBER: "a number",
    Kind.TIME: "an RFC 3339 time with an offset",
}
"""Descriptions of values, by the kind of the field."""


def parameter(field: Field, value: object, at: str) -> object:
    """Return a filter's value as a parameter of its field's type.

    Raises:
        Problem: 400, the field cannot have it.
    """
    found = _NO_VALUE if value is None else _CONVERTERS[field.kind](value, at)
    if found is _NO_VALUE:
        raise bad(at, f"must be {_SHAPES[field.kind]}, as {field.name} is")
    if field.values and found not in field.allowed:
        raise bad(at, f"must be {_worded(field)}, as {field.name} is")
    return found


def _worded(field: Field) -> str:
    if len(field.values) > _FEW:
        return f"one of {len(field.values)} texts, such as {field.values[0]}"
    return f"one of {', '.join(field.values)}"


_NO_VALUE = object()
"""A value that no field of the kind can have."""


def _text(value: object, at: str) -> object:
    if not isinstance(value, str):
        return _NO_VALUE
    if "\x00" in value:
        raise bad(at, "must not contain U+0000")
    return value


def _uuid(value: object, _at: str) -> object:
    return value.lower() if isinstance(value, str) and is_uuid(value.lower()) else _NO_VALUE


def _time(value: object, _at: str) -> object:
    if not isinstance(value, str):
        return _NO_VALUE
    try:
        return parse_instant(value)
    except InstantError:
        return _NO_VALUE


def _number(value: object, at: str) -> object:
    """Check the digits: sums of amounts have more of them than amounts."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return _NO_VALUE
    number = Decimal(value)
    if len(number.as_tuple().digits) > MAX_DIGITS or abs(number.adjusted()) > MAX_DIGITS:
        raise bad(at, f"must have at most {MAX_DIGITS} digits")
    return number


_CONVERTERS = {Kind.UUID: _uuid, Kind.TEXT: _text, Kind.NUMBER: _number, Kind.TIME: _time}
