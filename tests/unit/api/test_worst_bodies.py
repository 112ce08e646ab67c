"""Bodies of 1 MiB at every door: none costs more than a multiple of its bytes, in time or memory.

Times are processor times against bounds that a linear way keeps tenfold even on a slow machine; a
quadratic one takes minutes.
"""

import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from api.faces.events.bodies import EventBody
from api.faces.game_mechanics import presentation, writing
from api.faces.game_mechanics.errors import CallError
from api.faces.game_mechanics.parameters import Parameters
from api.faces.game_mechanics.presentation import Presentation
from api.faces.pathways.bodies import parse
from api.faces.records.bodies import ChallengeLogBody, MemberBody
from api.http import bodies
from api.http.json_places import path_at
from api.http.problems import Problem

MIB = 1024 * 1024
MOST_BYTES_A_BYTE = 64
MOST_SECONDS = 20.0


def filled(head: str, pattern: str, tail: str = "") -> bytes:
    """Return `head`, then `pattern` again and again up to 1 MiB, then `tail`."""
    room = MIB - len(head.encode()) - len(tail.encode())
    return (head + pattern * (room // len(pattern.encode())) + tail).encode()


WORST = {
    "lists": filled("[", "[],", "[]]"),
    "objects": filled("[", "{},", "{}]"),
    "numbers": filled("[", "1,", "1]"),
    "fractions": filled("[", "1.5,", "1]"),
    "texts": filled("[", '"",', '""]'),
    "deep, then wide": filled("[" * 100, "1,", "1" + "]" * 100),
    "deep keys, then wide": filled('{"a":' * 100 + "[", "1,", "1]" + "}" * 100),
    "keys": filled("{", '"":1,', '"":1}'),
    "a nul at the end": filled("[", "[],", '"\\u0000"]'),
    "a nul behind deep keys": filled('{"abcdefgh":' * 100 + "[", "1,", '"\\u0000"]' + "}" * 100),
    "a lone surrogate at the end": filled("[", "[],", '"\\ud800"]'),
    "pairs of surrogates": filled('["', "\\ud83d\\ude00", '","\\ud800"]'),
    "a long key": filled('{"', "k", '":"\\u0000"}'),
    "nan at the end": filled("[", "[],", "NaN]"),
    "nan throughout": filled("[", "NaN,", "NaN]"),
    "brackets": filled("", "["),
    "brackets in turn": filled("", "[]"),
    "129 brackets and escaped quotes": filled("[" * 129 + '"', '\\"'),
    "129 brackets and backslashes": filled("[" * 129 + '"', "\\\\", "\\"),
    "quotes": filled("[" * 129, '"'),
    "escaped quotes": filled('"', '\\"'),
    "single quotes": filled("{'", "\\'"),
    "comments": filled("{", "/*"),
    "dots": filled("{a:[", ".. "),
    "blanks": filled('{"a"', " "),
    "digits": filled('{"a":', "9", "}"),
    "digits after a point": filled('{"a":0.', "9", "}"),
    "what looks like a path": filled('{"status":"', " - at `$", '"}'),
    "a field that looks like a path": filled('{"', " - at `$", '":1}'),
    "accents": filled('{"pathway":"', "\u0316\u0301", '"}'),
    "projects": filled("{", '"project":"acme",', '"project":"acme"}'),
}


def _context(raw: bytes) -> object:
    given = Parameters({"context": raw.decode()})
    presentation.presentation_of(given)
    return presentation.with_context(Presentation(), given).success({})


DOORS: dict[str, Callable[[bytes], Any]] = {
    "log": lambda raw: bodies.convert(raw, ChallengeLogBody, "acme"),
    "member": lambda raw: bodies.convert(raw, MemberBody, "acme"),
    "event": lambda raw: bodies.convert(raw, EventBody, "acme"),
    "metadata": lambda raw: bodies.convert(
        b'{"eventId":"e","userId":"u","metadata":' + raw + b"}", EventBody, "acme"
    ),
    "object": bodies.object_of,
    "context": _context,
    "attributes": lambda raw: writing.attributes(Parameters({"actionAttributes": raw.decode()})),
    "pathway": lambda raw: parse(raw, "acme"),
    "place": lambda raw: path_at(raw, len(raw) - 1),
}


SHARED = ("log", "member", "event", "metadata", "attributes", "place")
"""Doors behind the same look at a text as `object`, and what may differ there."""
DIFFERENT = (
    "objects",
    "a nul behind deep keys",
    "129 brackets and escaped quotes",
    "what looks like a path",
    "a field that looks like a path",
    "projects",
)
HEAVY = ("lists", "objects", "fractions", "deep keys, then wide", "quotes", "pairs of surrogates")


@pytest.mark.parametrize("door", DOORS)
def test_no_body_takes_longer_than_its_bytes(door: str) -> None:
    for name in DIFFERENT if door in SHARED else WORST:
        began = time.process_time()
        with suppress(Problem, CallError):
            DOORS[door](WORST[name])
        assert time.process_time() - began < MOST_SECONDS, name


@pytest.mark.parametrize("door", ["event", "object", "context", "pathway"])
def test_no_body_takes_more_memory_than_a_multiple_of_its_bytes(door: str) -> None:
    for name in HEAVY:
        tracemalloc.start()
        try:
            with suppress(Problem, CallError):
                DOORS[door](WORST[name])
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < MOST_BYTES_A_BYTE * MIB, f"{name}: {most / MIB:.0f} bytes a byte"


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b'{"a":{"b":[1,{"c":?}]}}', "a.b[1].c"),
        (b'{"a":{"b":[1,{"c":0}]},"d":?}', "d"),
        (b"[[],[?]]", "[1][0]"),
        (b'{"a\\"]":{"\\\\":?}}', 'a"].\\'),
        (b"?", ""),
        (b'{"a":"]}","b":?', "b"),
        (b'{"x":1,"y?z":1}', "y?z"),
        (b'{"x":["y?z', "x[0]"),
        (b"]}?", ""),
        (b'{"' + b"k" * 1000 + b'":{"' + b"k" * 1000 + b'":?}}', f"{'k' * 80}….{'k' * 80}…"),
    ],
)
def test_a_place_is_named_by_its_path(raw: bytes, path: str) -> None:
    assert path_at(raw, raw.index(b"?")) == path
