"""Whoever sends us text decides what it is: each check of it takes time that is linear in its size.

Every regular expression of the code is fed a mebibyte of what costs it most, and so is every other
look at raw text. It may take a multiple of what a plain expression takes for as much; those that
are quadratic took minutes. All this in a process of its own: an expression cannot be interrupted.
"""

import ast
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "processor", "projections", "api", "deploy")
SIZE = 2**20
TIMES = 100
"""How many times as long as the plain expression a check may take."""
HARD_SECONDS = 300

TRUSTED = {
    "schemas.settings._TOPIC_CHARACTERS": "the operator's",
    "schemas.settings._HOST_PORT": "the operator's",
    "projections.migrate._FILE_NAME": "our own files",
    "projections.shadow_tables.*": "our own indexes",
    "api.pages._INLINE": "our own pages",
}
"""What never sees a text of others, and whose text it sees."""

_FUNCTIONS = {"compile", "match", "fullmatch", "search", "sub", "findall", "finditer", "split"}

Check = tuple[Callable[[Any], object], Any]
"""What looks at a text, and the text that costs it most."""


def of_regular_expressions() -> Mapping[str, Check]:
    """Return the worst of each expression and normalization, by where ``expressions`` finds it."""
    from api.auth import credentials
    from api.faces.dashboard import dead_letters
    from api.faces.events import bodies as event_bodies
    from api.faces.events import face, periods
    from api.faces.game_mechanics import actions_log, presentation
    from api.faces.pathways import relaxed_json
    from api.http import bodies, connections, json_places, middleware, yaml_text
    from api.queries import record_listing
    from deploy import apply
    from deploy.importing import columns
    from processor import comparison
    from projections import json_text
    from schemas import (
        amounts,
        attributes,
        caseless,
        definitions,
        durations,
        ids,
        records,
        sealing,
        tracing,
        wire_values,
    )

    digits, letters = "1" * SIZE, "a" * SIZE
    escapes = '"' + '\\"' * (SIZE // 2)
    return {
        "schemas.attributes.NAME": (attributes.NAME.fullmatch, letters),
        "schemas.amounts._PLAIN": (amounts._PLAIN.fullmatch, digits),
        "schemas.amounts._SUM": (amounts._SUM.fullmatch, digits),
        "schemas.amounts._JSON_NUMBER": (amounts._JSON_NUMBER.fullmatch, digits + "e"),
        "schemas.caseless.*": (caseless.caseless, "a" + "\u0301\u0323" * (SIZE // 4)),
        "schemas.definitions._MONTH_DAY": (definitions._MONTH_DAY.fullmatch, digits),
        "schemas.durations._DURATION": (durations._DURATION.fullmatch, "P" + digits),
        "schemas.ids._PROJECT": (ids._PROJECT.fullmatch, letters),
        "schemas.ids._UUID": (ids._UUID.fullmatch, letters),
        "schemas.records._PHONE": (records._PHONE.fullmatch, "+" + digits),
        "schemas.records._SEALED": (records._SEALED.fullmatch, "1.a." + letters + "."),
        "schemas.sealing._KEY_ID": (sealing._KEY_ID.fullmatch, letters),
        "schemas.tracing._SAMPLED": (tracing._SAMPLED.match, b"00-" + digits.encode()),
        "schemas.wire_values._FINE": (wire_values._FINE.search, b":11.111111" * (SIZE // 10)),
        "schemas.wire_values._FINER": (wire_values.cut_fraction, ":11.111111" * (SIZE // 10)),
        "processor.comparison._WHEN": (
            lambda text: comparison._WHEN.sub(b"", text),
            b'"2026-11-22T' + digits.encode() + b'"sequence":"' + digits.encode(),
        ),
        "projections.json_text._SUSPECT": (json_text.storable, ("1" * 999 + ",") * (SIZE // 1000)),
        "projections.json_text._STRING_OR_NUMBER": (json_text.storable, "1" * 1000 + escapes),
        "api.http.bodies._EXPECTED": (bodies._EXPECTED.fullmatch, "Expected `" + letters),
        "api.http.bodies._TOO_LONG": (
            bodies._TOO_LONG.fullmatch,
            "Expected `str` of length <= " + digits,
        ),
        "api.http.bodies._BYTE": (
            bodies._BYTE.fullmatch,
            "JSON is malformed: " + " (byte " * (SIZE // 7),
        ),
        "api.http.bodies._NUL_OR_LONE": (
            bodies._NUL_OR_LONE.search,
            rb"\udbff\udc00" * (SIZE // 12),
        ),
        "api.http.connections._HOST": (
            connections._HOST.fullmatch,
            letters.encode() + b":" + digits.encode() + b" ",
        ),
        "api.http.json_places._TOKEN": (
            lambda text: json_places.path_at(text, SIZE),
            escapes.encode(),
        ),
        "api.http.yaml_text._NUMBER": (
            lambda text: yaml_text.yaml_of({"text": text}),
            "1" * (SIZE // 4) + "e",
        ),
        "api.faces.dashboard.dead_letters._PLACE": (dead_letters._PLACE.fullmatch, digits + "-"),
        "api.auth.credentials._KEY_ID": (credentials._KEY_ID.fullmatch, letters),
        "api.http.middleware._SANE_REQUEST_ID": (middleware._SANE_REQUEST_ID.fullmatch, letters),
        "api.faces.events.bodies._QUOTED": (event_bodies._QUOTED.fullmatch, '"' + letters),
        "api.faces.events.bodies._ESCAPED": (
            lambda text: event_bodies._ESCAPED.sub("", text),
            "\\a" * (SIZE // 2),
        ),
        "api.faces.events.bodies._PRINTABLE": (event_bodies._PRINTABLE.fullmatch, letters),
        "api.faces.events.face._OURS": (face._OURS.fullmatch, "/event" * (SIZE // 6)),
        "api.faces.events.periods._MONTH": (periods._MONTH.fullmatch, digits),
        "api.faces.game_mechanics.actions_log._CURSOR": (
            actions_log._CURSOR.fullmatch,
            "1." * SIZE,
        ),
        "api.faces.game_mechanics.presentation._CALLBACK": (
            presentation._CALLBACK.fullmatch,
            "a." * (SIZE // 2),
        ),
        "api.faces.pathways.relaxed_json._TOKEN": (relaxed_json.as_json, "/*" * (SIZE // 2)),
        "api.faces.pathways.relaxed_json._IN_STRING": (
            lambda text: relaxed_json._IN_STRING.sub("", text),
            "\\x" * (SIZE // 2),
        ),
        "api.queries.record_listing._WHOLE": (record_listing._WHOLE.fullmatch, digits),
        "deploy.apply._SURROGATE_PAIR": (
            lambda text: apply._SURROGATE_PAIR.sub("", text),
            "\ud800" * SIZE,
        ),
        "deploy.apply.*": (apply._json_documents, "{}" + " \n" * (SIZE // 2)),
        "deploy.importing.columns._NUMBER": (columns._NUMBER.fullmatch, digits + "e" + digits),
        "deploy.importing.columns.*": (columns._letters, "a_ -" * (SIZE // 4)),
    }


def of_other_checks() -> Mapping[str, Check]:
    """Return the worst of what else looks at a whole text."""
    from api.http import bodies
    from deploy.importing.columns import Columns, HeaderError
    from processor.domain import inputs
    from processor.domain.aggregates import event
    from processor.domain.aggregates.conditions import compile_condition
    from processor.domain.aggregates.work import work_on
    from schemas import amounts, definitions, instants, json_limits, records

    def read(value: bytes) -> None:
        with suppress(inputs.Refused):
            inputs.read(inputs.Input("events", 0, 0, 0, None, value, (), forwarded=False))

    def nanos(text: str) -> None:
        with suppress(amounts.AmountError):
            amounts.nanos_of(json_limits.exact_number(text))

    def moment(text: str) -> None:
        with suppress(instants.InstantError):
            instants.parse_instant(text)

    def metadata(text: bytes) -> None:
        with suppress(inputs.Refused):
            event.number_field(event.decode_metadata(msgspec.Raw(text)), "v")

    def conditions(operator: str, wanted: object) -> Callable[[bytes], None]:
        comparison = {"field": "v", "operator": operator, "value": wanted}
        group = {"type": "OR", "conditions": [comparison] * 100}
        tree = {"type": "OR", "conditions": [group] * 7}
        check = compile_condition(definitions.Condition.model_validate(tree))

        def look(text: bytes) -> None:
            with suppress(inputs.Refused):
                metadata = event.decode_metadata(msgspec.Raw(text))
                check(metadata, None, work_on(msgspec.Raw(text)))

        return look

    def values(text: bytes) -> None:
        metadata = event.decode_metadata(msgspec.Raw(text))
        for _ in range(definitions.MAX_CHALLENGES_FED * 20):
            with suppress(inputs.Refused):
                event.number_field(metadata, "v")

    def header(names: str) -> None:
        with suppress(HeaderError):
            Columns(names.split(","))

    def listed(items: bytes) -> bytes:
        return b'{"v":[' + items * (SIZE // 4 // len(items)) + b"0]}"

    nested = b"[" * 129 + b'"' + b'\\"' * (SIZE // 2)
    flat = b"[" + b"[]," * (SIZE // 3) + b"[]]"
    nul = b'["' + b"\\\\u0000" * (SIZE // 7) + b'"]'
    digits = "1" * SIZE
    return {
        "an unended string": (json_limits.nests_too_deep, nested),
        "an error of the decoder": (
            lambda text: bodies.invalid_from(msgspec.ValidationError(text)),
            " - at `$" * (SIZE // 8),
        ),
        "many brackets": (json_limits.nests_too_deep, flat),
        "many quotes": (json_limits.nests_too_deep, b"[" * 129 + b'"a' * (SIZE // 2)),
        "many backslashes": (json_limits.nests_too_deep, b"[" * 129 + b"\\" * SIZE),
        "what may be NUL": (records.contains_nul, nul),
        "a record": (read, nested),
        "a record of digits": (read, b'{"eventId":' + digits.encode()),
        "an amount": (nanos, "1." + digits),
        "an amount of noughts": (nanos, "1." + "0" * SIZE),
        "a header of many columns": (header, ",".join(map(str, range(20_000)))),
        "a header that nests": (header, "a." * (SIZE // 2) + "a"),
        "a time": (moment, "2026-11-21T10:30:00." + digits + "Z"),
        "a time that is none": (moment, digits),
        "metadata": (metadata, b'{"v":1.' + digits.encode() + b"}"),
        "metadata of a whole number": (metadata, b'{"v":' + digits.encode() + b"}"),
        "the values of a whole number": (values, b'{"v":%b}' % (b"1" * 4000)),
        "conditions on a list of lists": (conditions("contains", [2]), listed(b"[1],")),
        "conditions on a list of objects": (conditions("contains", {"a": 2}), listed(b'{"a":1},')),
        "conditions on a list of numbers": (conditions("contains", 2), listed(b"1.5,")),
        "conditions on a list of one hash": (
            conditions("contains", 2),
            b'{"v":[%s]}' % b",".join(b"%d" % (n * (2**61 - 1)) for n in range(12_000)),
        ),
        "conditions on a list of texts": (conditions("contains", "b"), listed(b'"a",')),
        "conditions on a text": (
            conditions("contains", "a" * 30 + "ba"),
            b'{"v":"%b"}' % (b"a" * (SIZE // 4)),
        ),
        "conditions on a shorter text": (
            conditions("contains", "a" * 30 + "ba"),
            b'{"v":"%b"}' % (b"a" * 29_999),
        ),
        "conditions on a whole number": (
            conditions("greater_than", Decimal("0.5")),
            b'{"v":%b}' % (b"1" * 4000),
        ),
        "conditions that equal a whole number": (
            conditions("equals", Decimal("0.5")),
            b'{"v":%b}' % (b"1" * 4000),
        ),
        "conditions on a long fraction": (
            conditions("greater_than", 1),
            b'{"v":1.%b1}' % (b"0" * (SIZE // 4)),
        ),
        "conditions that list what may be": (
            conditions("in", [[1]] * 9),
            listed(b"[1],"),
        ),
    }


def expressions() -> Iterator[str]:
    """Find where the code has regular expressions and normalizations: ``module.name``."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            named = path.relative_to(ROOT).with_suffix("").parts
            module = ".".join(named).removesuffix(".__init__")
            for statement in ast.parse(path.read_text("utf-8")).body:
                if any(_is_expression(node) for node in ast.walk(statement)):
                    yield f"{module}.{_name(statement)}"


def _is_expression(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    module, _, name = ast.unparse(node.func).rpartition(".")
    return (module, name) == ("unicodedata", "normalize") or (module == "re" and name in _FUNCTIONS)


def _name(statement: ast.stmt) -> str:
    """Return the name that a statement gives; ``*`` where the expression is within a function."""
    return ast.unparse(statement.targets[0]) if isinstance(statement, ast.Assign) else "*"


def seconds(check: Check) -> float:
    """Return the processor time of a check, the best of three where the first was not quick."""
    look, text = check
    taken: list[float] = []
    while len(taken) < 3:
        began = time.process_time()
        look(text)
        taken.append(time.process_time() - began)
        if taken[0] < 0.05:
            break
    return min(taken)


def main() -> None:
    """Print each check that took too long; what the plain expression takes is the measure."""
    plain = max(seconds((re.compile("(?:1|2)*").fullmatch, "1" * SIZE)), 0.005)
    for name, check in {**of_regular_expressions(), **of_other_checks()}.items():
        taken = seconds(check)
        if taken > TIMES * plain:
            print(f"{name}: {taken:.2f} s, where a plain one takes {plain:.3f} s", flush=True)


def test_every_expression_has_its_worst_text() -> None:
    assert set(expressions()) == of_regular_expressions().keys() | TRUSTED.keys()


def test_the_worst_text_of_each_check_takes_linear_time() -> None:
    child = subprocess.run(
        [sys.executable, "-m", "tests.unit.test_linear_checks"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HARD_SECONDS,
        check=False,
    )
    assert (child.returncode, child.stdout) == (0, ""), child.stdout + child.stderr


if __name__ == "__main__":
    main()
