"""Versions of a definition, compared line by line."""

import difflib
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.faces.dashboard import definitions
from api.faces.dashboard.definitions import CONTEXT, MAX_LINES, changes

TEXTS = st.lists(st.sampled_from("abc"), max_size=30)


@given(TEXTS, TEXTS)
def test_what_changed_leads_from_one_text_to_the_other(
    old: Sequence[str], new: Sequence[str]
) -> None:
    lines = changes(old, new)
    assert lines is not None
    assert (lines == []) == (old == new)
    told = {mark: [text for each, text in lines if each == mark] for mark in "-+"}
    # As few as can be, and each a part of its text: what is left of both is alike.
    kept = len(old) - len(told["-"])
    assert kept == len(new) - len(told["+"])
    assert sum(map(len, told.values())) <= len(old) + len(new) - 2 * _alike(old, new)
    assert _is_within(told["-"], old)
    assert _is_within(told["+"], new)
    assert sum(mark == " " for mark, _ in lines) <= kept
    if all(mark != "…" for mark, _ in lines) and lines:
        assert [text for mark, text in lines if mark in " -"] == list(old)
        assert [text for mark, text in lines if mark in " +"] == list(new)


def _alike(old: Sequence[str], new: Sequence[str]) -> int:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return sum(each.size for each in matcher.get_matching_blocks())


def _is_within(part: Sequence[str], whole: Sequence[str]) -> bool:
    rest = iter(whole)
    return all(line in rest for line in part)


def test_what_lies_far_from_a_change_is_left_out() -> None:
    old = [str(number) for number in range(40)]
    new = [*old[:20], "new", *old[21:32], *old[33:]]
    lines = changes(old, new)
    assert lines == [
        ["…", ""], [" ", "17"], [" ", "18"], [" ", "19"], ["-", "20"], ["+", "new"],
        [" ", "21"], [" ", "22"], [" ", "23"], ["…", ""],
        [" ", "29"], [" ", "30"], [" ", "31"], ["-", "32"],
        [" ", "33"], [" ", "34"], [" ", "35"], ["…", ""],
    ]  # fmt: skip
    assert CONTEXT == 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([str(n % 3) for n in range(MAX_LINES - 199)], [str(n % 2) for n in range(199)]),
        (
            [str(n % 107) for n in range(MAX_LINES // 2)],
            [str((n * 3 + 1) % 107) for n in range(MAX_LINES // 2)],
        ),
    ],
)
def test_no_texts_take_long(old: Sequence[str], new: Sequence[str]) -> None:
    began = time.process_time()
    assert changes(old, new)
    assert time.process_time() - began < 5  # difflib took minutes


def test_longer_texts_are_not_compared() -> None:
    assert changes(["a"] * MAX_LINES, ["b"]) is None


def test_a_long_definition_is_written_as_json() -> None:
    conditions = ", ".join(f'{{"a": "{number:0100d}"}}' for number in range(1000))
    text = definitions._yaml("acme", "event", f'{{"title": "x", "conditions": [{conditions}]}}')
    assert text is not None
    assert text.startswith('{\n  "kind": "event",\n  "project": "acme",\n  "title": "x",')
