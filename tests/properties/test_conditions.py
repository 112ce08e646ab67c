"""A comparison comes to the same however it is made: with a prepared list, or one by one, or as
plainly as the documents say it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from processor.domain.aggregates.conditions import holds
from processor.domain.aggregates.json_values import key_of, same
from processor.domain.aggregates.work import SMALL, Work
from schemas.definitions import Condition, decode_numbers
from tests.properties import condition_reference
from tests.strategies_events import OPERATORS

numbers = st.sampled_from(
    [
        *(
            "0",
            "-0",
            "-0.0",
            "0e5",
            "1",
            "1.0",
            "1.00e0",
            "10e-1",
            "-1",
            "1.5",
            "15e-1",
            "1e2",
            "100",
        ),
        *("9007199254740993", "9007199254740992", "9007199254740992.0", "0.1", "0.10"),
        *("18446744073709551615", "18446744073709551616", "18446744073709551616.0", "1e20"),
        *("100000000000000000000", "1e400", "1" + "0" * 400, "1" + "0" * 401, "-1" + "0" * 500),
        *("1e-400", "0.30000000000000004", "1." + "0" * 50 + "1", "2305843009213693951"),
    ]
)
"""As JSON has them."""
scalars = st.one_of(
    numbers,
    numbers,
    st.sampled_from(['"1"', '"true"', '"null"', '""', '"a"', '"aa"', '"\u00e4"', '"1.0"', '"[1]"']),
    st.sampled_from(["true", "false", "null"]),
)


def _object(fields: dict[str, str]) -> str:
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"


def _list(items: list[str]) -> str:
    return f"[{','.join(items)}]"


values: SearchStrategy[str] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(_list),
        st.dictionaries(st.sampled_from("ab"), inner, max_size=2).map(_object),
    ),
    max_leaves=6,
)
lists = st.lists(values, max_size=20).map(_list)


def _read(text: str) -> Any:
    return decode_numbers(text.encode())


@given(values, values)
def test_two_values_have_one_key_where_they_are_the_same(one: str, other: str) -> None:
    a, b = _read(one), _read(other)
    alike = key_of(a) == key_of(b) and type(key_of(a)) is type(key_of(b))
    assert alike == same(a, b) == condition_reference.same(a, b)


@given(st.sampled_from(OPERATORS), st.one_of(values, lists), st.one_of(values, lists))
def test_a_comparison_is_as_the_documents_say(operator: str, found: str, wanted: str) -> None:
    _as_documented(operator, _read(found), _read(wanted))


@given(st.sampled_from(["in", "not_in"]), st.one_of(values, lists), lists)
def test_a_value_is_in_a_list_as_the_documents_say(operator: str, found: str, wanted: str) -> None:
    items = _read(wanted)
    _as_documented(operator, _read(found), items)
    for item in items:
        _as_documented(operator, item, items)


@given(lists, lists)
def test_an_element_is_in_a_list_as_the_documents_say(found: str, wanted: str) -> None:
    items = _read(found)
    for item in (*items, *_read(wanted)):
        _as_documented("contains", items, item)


def _as_documented(operator: str, found: Any, wanted: Any) -> None:
    comparison = {"field": "v", "operator": operator, "value": wanted}
    condition, metadata = Condition.model_validate(comparison), {"v": found}
    expected = condition_reference.holds(comparison, metadata)
    if operator == "not_in" and not wanted:  # of what lists nothing, nothing has another type
        expected = found is not None
    large = Work()
    large.size = SMALL + 1
    for work in (Work(), large, large):  # prepared, and prepared before
        assert holds(condition, metadata, work=work) == expected
