"""The documents and the code agree: what there is, is documented, and what is named exists."""

import json
import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry

from api.app import create_app
from api.documents import asyncapi, openapi
from api.metrics import Metrics as ApiMetrics
from deploy.apply import check
from deploy.cli import SUB_COMMANDS, load
from processor import metrics as worker_metrics
from projections.metrics import Metrics as ProjectorMetrics
from schemas.definitions import KINDS
from schemas.placement import PLACEABLE
from schemas.settings import Settings, variable
from schemas.topics import TOPICS, changelog_topic, positions_topic
from tests.documents import PACKAGES, ROOT, Document, documents, sources

DOCUMENTS = documents()
SPANS = {span for document in DOCUMENTS for span in document.spans}
SOURCES = {path: text for path, text in sources().items() if path != Path(__file__)}
SOURCE = "\n".join(SOURCES.values())
WORDS = set(re.findall(r"\w+", SOURCE))
DECISIONS = [document for document in DOCUMENTS if document.path.parent.name == "decisions"]
CODE = "\n".join([*sorted(SPANS), *(code for document in DOCUMENTS for _, code in document.blocks)])
"""All code of all documents."""

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)

ALL_TOPICS = {*TOPICS, changelog_topic("milestream").name, positions_topic("milestream").name}
SETTINGS = {variable(field) for field in Settings.model_fields}
TABLES = set(
    re.findall(
        r"CREATE (?:TABLE|VIEW) milestream\.(\w+)",
        "".join(path.read_text() for path in ROOT.glob("projections/migrations/*.sql")),
    )
)
DEFINED = r"\b(?:def|cdef [\w ]+) {}\("
"""Where a function is defined, in Python or Cython."""
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
ROUTES = {
    re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path): route.include_in_schema
    for route in create_app(Settings()).routes
    if isinstance(route, APIRoute)
}
"""The paths of the API, and whether its own documents have them."""


def _commands() -> Iterator[tuple[str, Any]]:
    """Every command with a name of its own, and groups too."""
    for name, sub in SUB_COMMANDS.items():
        if sub.hidden:
            continue
        command = load(name)
        yield name, command
        for below, each in getattr(command, "commands", {}).items():
            yield f"{name} {below}", each


COMMANDS = dict(_commands())


def _metrics() -> set[str]:
    """The names of all metrics, as Prometheus sees them."""
    collectors: list[Any] = [
        value
        for value in vars(worker_metrics).values()
        if hasattr(value, "describe") and not isinstance(value, type)
    ]
    collectors += [ApiMetrics().registry, ProjectorMetrics(CollectorRegistry()).registry]
    found = set()
    for collector in collectors:
        for metric in collector.collect():
            found.add(f"{metric.name}_total" if metric.type == "counter" else metric.name)
    return found


METRICS = _metrics()


# What there is, is documented.


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_setting_is_explained(name: str) -> None:
    assert name in SPANS


@pytest.mark.parametrize("name", sorted(ALL_TOPICS))
def test_every_topic_is_named(name: str) -> None:
    assert name in SPANS


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_is_named(name: str) -> None:
    assert name in SPANS


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_is_named(name: str) -> None:
    assert name in SPANS


@pytest.mark.parametrize("name", sorted(TARGETS - {"help"}))
def test_every_target_of_make_is_named(name: str) -> None:
    assert re.search(rf"\bmake {name}(?![\w-])", CODE)


@pytest.mark.parametrize(
    "name", [name for name, command in COMMANDS.items() if not hasattr(command, "commands")]
)
def test_every_command_is_named(name: str) -> None:
    assert re.search(rf"\bmilestream {name}\b", CODE)


@pytest.mark.parametrize("path", sorted(path for path, described in ROUTES.items() if described))
def test_every_path_of_the_api_is_named(path: str) -> None:
    api = next(document for document in DOCUMENTS if document.name == "api/README.md")
    shown = re.sub(r"^/schema/\w+/", "/schema/{slug}/", path)
    assert re.search(rf"`([A-Z]+ )?({re.escape(path)}|{re.escape(shown)})[`?]", api.text)


def test_every_variable_of_tests_is_explained() -> None:
    found = set(re.findall(r"\bMILESTREAM_(?:TEST|BENCH)_[A-Z_]*[A-Z]\b", SOURCE))
    assert found, "the test looks in the wrong place"
    assert found - SPANS == set()


def test_every_topic_that_can_be_imported_is_named_where_import_is() -> None:
    lines = [line for document in DOCUMENTS for line in document.prose.splitlines()]
    (row,) = [line for line in lines if line.startswith("| `milestream import TOPIC")]
    assert all(f"`{name}`" in row for name in PLACEABLE)


# What is named, exists.


@every_document
def test_links_lead_somewhere(document: Document) -> None:
    lost = []
    for link in document.links:
        path, _, anchor = link.partition("#")
        if path.startswith("https://"):
            continue
        target = (document.path.parent / path) if path else document.path
        if not target.exists() or (anchor and anchor not in Document(target).anchors):
            lost.append(link)
    assert lost == []


@every_document
def test_tables_list_what_there_is(document: Document) -> None:
    wrong = {
        header: set(document.first_cells(header)) - there
        for header, there in {
            "topic": ALL_TOPICS,
            "table": TABLES,
            "metric": METRICS,
            "kind": set(KINDS),
        }.items()
    }
    assert {header: names for header, names in wrong.items() if names} == {}


@every_document
def test_variables_are_known(document: Document) -> None:
    named = set(re.findall(r"\bMILESTREAM_[A-Z_]*[A-Z]\b", document.text))
    assert {name for name in named if name not in SETTINGS and name not in WORDS} == set()


@every_document
def test_commands_and_their_options_exist(document: Document) -> None:
    assert [each for each in _typed(document, "milestream") if not _is_command(each)] == []


@every_document
def test_targets_of_make_exist(document: Document) -> None:
    named = [line.split()[0] for line in _typed(document, "make") if line.split()]
    assert [name for name in named if name.islower() and name not in TARGETS] == []


@every_document
def test_paths_of_the_api_exist(document: Document) -> None:
    named = [
        found[1]
        for span in document.spans
        if (found := re.fullmatch(r"(?:[A-Z]+ )?(/[\w/{}.-]*)(?:\?.*)?", span))
    ]
    named += re.findall(r"\$API(/[^\s\"?]*)", "\n".join(code for _, code in document.blocks))
    assert [path for path in named if not _is_route(path)] == []


@every_document
def test_files_and_their_functions_exist(document: Document) -> None:
    top = "|".join(PACKAGES)
    named = [
        found.groups()
        for span in document.spans
        if (found := re.fullmatch(rf"((?:{top})/[\w./-]*)(?::(\w+))?", span))
    ]
    assert [path for path, _ in named if not (ROOT / path).exists()] == []
    functions = [(ROOT / path, name) for path, name in named if name]
    assert [(p, n) for p, n in functions if not re.search(DEFINED.format(n), p.read_text())] == []


@every_document
def test_names_are_those_of_the_code(document: Document) -> None:
    """Names in snake case, camel case or with hyphens: fields, types, reasons, columns, options."""
    named = {
        word
        for span in document.spans
        for word in [span.removeprefix("--")]
        if re.fullmatch(r"[a-z][a-z0-9]*([_.-][a-z0-9]+)+|[a-z]+([A-Z][a-z0-9]*)+", word)
    }
    assert {name for name in named if not _is_in_the_code(name)} == set()


@every_document
def test_examples_are_valid(document: Document) -> None:
    for language, code in document.blocks:
        if language == "json":
            json.loads(code)
    for example in _yaml_of(document):
        for each in yaml.safe_load_all(example):
            check(document.name, each)


def test_there_is_an_example_of_each_kind_of_definition() -> None:
    kinds = {
        each["kind"]
        for document in DOCUMENTS
        for example in _yaml_of(document)
        for each in yaml.safe_load_all(example)
    }
    assert kinds == set(KINDS)


def test_the_code_cites_pages_and_sections_that_exist() -> None:
    lost = []
    cited = 0
    for path, text in SOURCES.items():
        for page, anchor in re.findall(r"\b((?:\w+/)*README\.md)(?:#([\w-]+))?", text):
            cited += 1
            target = ROOT / page
            if not target.exists() or (anchor and anchor not in Document(target).anchors):
                lost.append(f"{path.relative_to(ROOT)}: {page}#{anchor}")
    assert cited > 10
    assert lost == []


def test_no_package_of_our_name_is_fetched_from_an_index() -> None:
    """Nobody of us published one: who did would be installed."""
    texts = {str(path.relative_to(ROOT)): text for path, text in SOURCES.items()}
    texts |= {document.name: document.text for document in DOCUMENTS}
    asked = re.compile(r"install(\s+-\S+)*\W+milestream\b", re.IGNORECASE)
    assert {name for name, text in texts.items() if asked.search(text)} == set()
    assert asked.search("pip install -U 'milestream[export]'")
    assert asked.search("Install `milestream[traces]`")


def test_nothing_outside_of_the_repository_is_cited() -> None:
    outside = re.compile(r"(?i)contract(\.md| sections?)|design\.md|\.\./shared|\bseed 0")
    texts = {**SOURCES, **{document.path: document.text for document in DOCUMENTS}}
    assert [str(path) for path, text in texts.items() if outside.search(text)] == []


# Decisions and versions.


@pytest.mark.parametrize("document", DECISIONS, ids=lambda document: document.name)
def test_decisions_have_one_form_and_are_listed(document: Document) -> None:
    number = document.path.name[:4]
    assert re.fullmatch(
        rf"# {number}\. .+\n\n\d{{4}}-\d\d-\d\d · (accepted|replaced by \[.+)\n\n"
        r"## Context\n\n.+\n\n## Choice\n\n.+\n\n## Consequences\n\n.+\n",
        document.text,
        re.DOTALL,
    )
    page = Document(document.path.parents[1] / "README.md")
    assert f"decisions/{document.path.name}" in page.links
    assert [path.name[:4] for path in document.path.parent.iterdir()].count(number) == 1


def test_there_are_decisions() -> None:
    assert len(DECISIONS) >= 18


def test_one_version_is_named_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    images = {
        service["image"]
        for service in compose["services"].values()
        if service["image"].startswith("milestream:")
    }
    newest = re.search(r"^## \[(.+?)\] - \d{4}-\d\d-\d\d$", _changelog(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == version
    assert images == {f"milestream:{version}"}
    assert metadata.version("milestream") == version
    app = create_app(Settings())
    assert openapi.document(app)["info"]["version"] == version
    assert asyncapi.document(Settings(), app.version)["info"]["version"] == version


def test_the_changelog_has_the_newest_version_first() -> None:
    versions = re.findall(r"^## \[(\d+)\.(\d+)\.(\d+)\]", _changelog(), re.MULTILINE)
    numbers = [tuple(map(int, version)) for version in versions]
    assert numbers == sorted(numbers, reverse=True)


def _changelog() -> str:
    return (ROOT / "CHANGELOG.md").read_text("utf-8")


def _typed(document: Document, program: str) -> list[str]:
    """What follows a program's name, wherever a document shows its use."""
    lines = [*document.spans]
    for language, code in document.blocks:
        if language == "sh":
            lines += code.replace("\\\n", " ").splitlines()
    uses = re.compile(rf"(?:^|[\s(]){program} ([^#|)`]*)")
    return [found for line in lines for found in uses.findall(line)]


def _is_command(typed: str) -> bool:
    """Whether there is such a command, with such options."""
    words = typed.split()
    if not words or words[0].startswith("-") or words[0].isupper():
        return True
    name = " ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else words[0]
    command: click.Command | None = COMMANDS.get(name)
    if command is None:
        return False
    if hasattr(command, "commands") and len(words) > 1:
        return False  # a group whose command is unknown
    there = {"--help"}
    for parameter in command.params:
        there |= {*parameter.opts, *parameter.secondary_opts}
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", typed)) <= there


def _is_route(path: str) -> bool:
    """Whether a path, as a template or with values, is one of the API; versions stand before it."""
    bare = re.sub(r"^/v[0-3](?=/|$)", "", path)
    if not bare:
        return True
    for route in ROUTES:
        if path in (route, f"/v1{route}") or bare == route:
            return True
        template = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(route))
        general = re.sub(r"^/schema/\w+/", "/schema/[^/]+/", template)
        if any(re.fullmatch(each, shown) for each in (template, general) for shown in (path, bare)):
            return True
    return False


def _is_in_the_code(name: str) -> bool:
    snake = re.sub(r"([A-Z])", r"_\1", name).lower()
    parts = name.split(".")
    return name in ALL_TOPICS or name in SOURCE or snake in WORDS or WORDS.issuperset(parts)


def _yaml_of(document: Document) -> list[str]:
    """The definitions that a document shows: YAML, also within a shell's commands."""
    found = [code for language, code in document.blocks if language == "yaml"]
    for _, code in document.blocks:
        found += re.findall(r"<<'YAML'\n(.*?)\nYAML$", code, re.DOTALL | re.MULTILINE)
    return found


# That the tests above find what is wrong.


@pytest.mark.parametrize("typed", ["keyz list", "keys lst", "keys token --user U --nope", "up -x"])
def test_a_command_that_does_not_exist_is_found(typed: str) -> None:
    assert not _is_command(typed)


@pytest.mark.parametrize("path", ["/v1/user/joe/pointz", "/schema/record", "/v4/event", "/gm.x"])
def test_a_path_that_does_not_exist_is_found(path: str) -> None:
    assert not _is_route(path)


def test_a_name_that_the_code_does_not_have_is_found() -> None:
    assert not _is_in_the_code("challenge_" + "lug")
    assert not _is_in_the_code("challenge" + "Lug")


def test_a_lost_anchor_is_found() -> None:
    anchors = Document(ROOT / "deploy/README.md").anchors
    assert "one-million-logs-a-second-on-paper" in anchors
    assert "two-million-logs-a-second-on-paper" not in anchors
