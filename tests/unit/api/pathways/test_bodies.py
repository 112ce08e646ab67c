"""What is asked for: JSON and what people take for it, and every way to ask wrongly."""

import json

import pytest

from api.faces.pathways.bodies import LogsQuery, parse
from api.faces.pathways.relaxed_json import as_json
from api.http.problems import Problem


def read(body: str | bytes) -> LogsQuery:
    return parse(body.encode() if isinstance(body, str) else body, "acme")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"pathway": "Pathway A"}', LogsQuery("Pathway A")),
        ('{\n    pathway : "Pathway A"\n  }', LogsQuery("Pathway A")),
        ("{pathway:'It\\'s \"A\"',}", LogsQuery('It\'s "A"')),
        ("\ufeff{'pathway': /* which */ \"A\", // and\n}", LogsQuery("A")),
        ("{$a_1: 1}", None),
        ('{"pathway": "a://b/*c*/", types: "x"}', LogsQuery("a://b/*c*/", types=("x",))),
        ("{pathway: '\\x41\\u0042\\\nC\\q'}", LogsQuery("ABCq")),
        ('{"pathway": "A", "project": "acme"}', LogsQuery("A")),
        ('{"pathway": "A", "groups": null}', LogsQuery("A")),
        ('\ufeff{"pathway": "A"}', LogsQuery("A")),
        ('{"pathway": "A", "types": "Data Target"}', LogsQuery("A", types=("Data Target",))),
        ('{"pathway": "A", "types": ["x","y"]}', LogsQuery("A", types=("x", "y"))),
        ('{"pathway": "A", "groups": [], "activities": "a"}', LogsQuery("A", activities=("a",))),
        ('{"pathway": "A", "users": ["x"], "user": "y"}', LogsQuery("A", users=("x", "y"))),
        ('{"pathway": "A", "types": ["x","y",...]}', LogsQuery("A", types=("x", "y"))),
        ('{"pathway": "A", "user": ["x","y",...etc]}', LogsQuery("A", users=("x", "y"))),
        ('{"pathway": "A", "activities": ["x",..etc]}', LogsQuery("A", activities=("x",))),
        (
            '{"pathway": "...etc]", "types": ["...etc",...]}',
            LogsQuery("...etc]", types=("...etc",)),
        ),
        ('{"pathway": "100% \\"é\\" _x_ \\\\ 😀"}', LogsQuery('100% "é" _x_ \\ 😀')),
    ],
)
def test_what_is_understood(body: str, expected: LogsQuery | None) -> None:
    if expected is None:
        with pytest.raises(Problem, match=r"\$a_1: is not a known field"):
            read(body)
    else:
        assert read(body) == expected


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "not JSON"),
        ("pathway=A", "not JSON"),
        ('{"pathway": "A"', "not JSON"),
        ('{"pathway": "A}', "not JSON"),
        ("{pathway: 'A}", "not JSON"),
        ('{"pathway": "A"} /* and', ""),
        ('{"pathway": A}', "not JSON"),
        ('{"pathway": ...etc}', "not JSON"),
        ('{"pathway": "A", "types": ["x", ...more]}', "not JSON"),
        ('{"pathway": "A", "types": ["x", ..., "y"]}', "not JSON"),
        (b'{"pathway": "\xff"}', "not UTF-8"),
        ("[" * 100_000, "nested too deep"),
        ("[]", "must be a JSON object"),
        ('"A"', "must be a JSON object"),
        ("null", "must be a JSON object"),
        ("{}", "pathway: is required"),
        ('{"types": ["x"]}', "pathway: is required"),
        ('{"pathway": ["A"]}', "pathway: must be one string"),
        ('{"pathway": ["A", "B"]}', "pathway: must be one string"),
        ('{"pathway": "A", "pathway": "B"}', "pathway: must be given once"),
        ('{pathway: "A", "pathway": "A"}', "pathway: must be given once"),
        ('{"pathway": 5}', "pathway: must be one string"),
        ('{"pathway": %s}' % ("9" * 5000), "pathway: must be one string"),
        ('{"pathway": NaN}', "pathway: must be one string"),
        ('{"pathway": null}', "pathway: must be one string"),
        ('{"pathway": {"name": "A"}}', "pathway: must be one string"),
        ('{"pathway": " "}', "pathway: must not be empty"),
        ('{"pathway": "A\\u0000"}', "pathway: must not contain U"),
        ('{pathway: "A\\0"}', "pathway: must not contain U"),
        ('{"pathway": "\\ud800"}', "pathway: must not contain a lone surrogate"),
        ('{"pathway": "A", "users": ["x", "\\ud800"]}', "users: must not contain a lone"),
        ('{"pathway": "A", "users": 5}', "users: must be a string or a list of strings"),
        ('{"pathway": "A", "user": {}}', "user: must be a string or a list of strings"),
        ('{"pathway": "A", "users": "%s"}' % ("x" * 514), "users: must have at most 513"),
        ('{"pathway": "%s"}' % ("x" * 514), "pathway: must have at most 513"),
        (json.dumps({"pathway": "A", "users": ["x" * 512] * 129}), "All filters together"),
        ("{pathway: 'A'" + " " * 65536 + "}", "not JSON"),
        ('{"pathway": "A", "types": ["x", 1]}', r"types\[1\]: must be a string"),
        ('{"pathway": "A", "activities": [["x"]]}', r"activities\[0\]: must be a string"),
        ('{"pathway": "A", "activites": ["x"]}', "activites: is not a known field"),
        ('{"pathway": "A", "project": "other"}', "project: must be the project"),
    ],
)
def test_what_is_refused_and_why(body: str | bytes, message: str) -> None:
    if not message:
        assert read(body) == LogsQuery("A")
        return
    with pytest.raises(Problem, match=message) as refused:
        read(body)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "pattern", ["'", '"', "/*", "/*/", "\\'", '"\\', "'\\", "..", "[", ",", "a:"]
)
def test_nothing_takes_longer_than_its_length(pattern: str) -> None:
    text = pattern * (100_000 // len(pattern))
    assert len(as_json("{" + text)) < 10 * len(text)


@pytest.mark.parametrize("value", [{"a": ['x"y', "it's", "//no", "/*no*/", "a:b", "\n\t\\"]}, []])
def test_json_stays_what_it_is(value: object) -> None:
    assert json.loads(as_json(json.dumps(value))) == value
