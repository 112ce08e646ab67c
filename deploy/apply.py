"""Publishing definitions from files: all of them are checked first, then all are written, or none.

A file is YAML (one or many documents) or JSON (one, a list, or several one after the other). A
document is `{kind, id, project?, …}`. YAML is read by its 1.2 core rules: what looks like a time is
a text, `no` is a text, and a number is exactly what was written.
"""

import asyncio
import json
import re
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from aiokafka import AIOKafkaProducer

from deploy.clients import words_for_readers
from deploy.errors import CommandError
from deploy.texts import decode_text
from deploy.topics_create import check_topics
from processor.definitions import DefinitionsReader
from processor.domain.definitions import Definitions
from schemas import clocks
from schemas import definitions as models
from schemas.definition_records import actor_headers
from schemas.ids import DEFAULT_PROJECT, is_project
from schemas.settings import Settings
from schemas.topics import DEFINITIONS

STDIN = Path("-")

PUBLISH_SECONDS = 30


class ApplyError(CommandError):
    """A document is refused, so nothing was written; the message has a line for each fault."""


@dataclass(frozen=True)
class Document:
    """One definition, checked, and where it came from ("file.yaml, document 2")."""

    where: str
    project: str
    definition: models.Definition

    @property
    def key(self) -> str:
        """The key of its record."""
        return models.definition_key(self.project, self.definition.kind, self.definition.id)


@dataclass(frozen=True)
class Outcome:
    """What became of one document: `created`, `changed` or `unchanged`."""

    key: str
    what: str


def read(paths: Sequence[Path]) -> list[Document]:
    """Return the definitions of all files, `-` being stdin.

    Raises:
        ApplyError: a file cannot be read, or a document is no definition; all faults are named.
    """
    documents: dict[str, Document] = {}
    faults: list[str] = []
    for where, value in _numbered(paths):
        try:
            document = check(where, value)
        except models.DefinitionError as error:
            faults += [f"{where}: {field}: {text}" if field else f"{where}: {text}"
                       for field, text in error.errors]  # fmt: skip
            continue
        first = documents.setdefault(document.key, document)
        if first is not document:
            faults.append(f"{where}: id: is that of {first.where} too")
    if faults:
        raise ApplyError("nothing was written:\n" + "\n".join(faults))
    if paths and not documents:
        raise ApplyError(f"there is no definition in {', '.join(map(str, paths))}")
    return list(documents.values())


def check(where: str, value: object) -> Document:
    """Return a document's definition.

    Raises:
        DefinitionError: with every field at fault.
    """
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise models.DefinitionError([("", "must be a mapping with text keys")])
    fields = dict(value)
    kind = fields.pop("kind", None)
    if not isinstance(kind, str):
        raise models.DefinitionError([("kind", f"must be one of {', '.join(models.KINDS)}")])
    default = fields.get("id") if kind == models.Project.kind else DEFAULT_PROJECT
    project = fields.pop("project", default)
    definition = models.parse(kind, fields)
    if not isinstance(project, str) or not is_project(project):
        raise models.DefinitionError([("project", "must match [a-z0-9][a-z0-9-]{0,62}")])
    if isinstance(definition, models.Project) and definition.id != project:
        raise models.DefinitionError([("project", "must be the id, or left out")])
    try:
        models.encode(definition)
    except UnicodeEncodeError as error:
        raise models.DefinitionError([("", "must not contain a lone surrogate")]) from error
    return Document(where, project, definition)


def _numbered(paths: Sequence[Path]) -> Iterator[tuple[str, Any]]:
    """Yield every document of every file with its place; a list is as many documents."""
    for path in paths:
        name = "stdin" if path == STDIN else str(path)
        number = 0
        for value in _documents(name, path):
            for item in value if isinstance(value, list) else [value]:
                number += 1
                yield f"{name}, document {number}", item


def _documents(name: str, path: Path) -> list[Any]:
    try:
        raw = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
        text = decode_text(raw)
    except OSError as error:
        raise ApplyError(f"cannot read {name}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ApplyError(f"cannot read {name}: it is no text in UTF-8 or UTF-16") from error
    try:
        if path.suffix == ".json" or text.lstrip()[:1] in ("{", "["):
            return _json_documents(text)
    except (ValueError, ArithmeticError, RecursionError) as error:
        if path.suffix == ".json":
            raise ApplyError(f"{name} is not JSON: {_json_fault(error)}") from error
        # YAML may begin with a brace too.
    try:
        loaded = yaml.load_all(text, Loader=_ExactLoader)
        return [value for value in loaded if value is not None]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ApplyError(f"{name} is not YAML: {_yaml_fault(error)}") from error


def _json_fault(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    return str(error) if isinstance(error, RecursionError) else "a number has too many digits"


def _yaml_fault(error: Exception) -> str:
    """Return in one line what is wrong, and where; PyYAML shows the place over several."""
    mark = getattr(error, "problem_mark", None)
    problem = " ".join(str(getattr(error, "problem", None) or error).split())
    return problem if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: {problem}"


def _json_documents(text: str) -> list[Any]:
    # NaN and the infinities are let in here, so that the model names the field that has them.
    decoder = json.JSONDecoder(parse_float=Decimal, parse_constant=float)
    documents = []
    end = _skip_space(text, 0)
    while end < len(text):
        value, end = decoder.raw_decode(text, end)
        documents.append(value)
        end = _skip_space(text, end)
    return documents


def _skip_space(text: str, start: int) -> int:
    match = re.compile(r"[ \t\r\n]*").match(text, start)
    return match.end() if match else start


_SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


class _ExactLoader(yaml.SafeLoader):
    """Reads YAML 1.2's core types, numbers as they are written, and refuses repeated keys."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as PyYAML declares it

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        """Return the text of a node.

        JSON escapes what lies beyond U+FFFF as two surrogates, and PyYAML keeps the two apart.
        """
        text = super().construct_scalar(node)
        if _SURROGATE_PAIR.search(text) is None:
            return text
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return the value of a node.

        A tag may name a type that its value is none of: PyYAML ends in whatever that leads to.
        """
        try:
            return super().construct_object(node, deep)
        except (ValueError, ArithmeticError, AttributeError, KeyError, TypeError) as error:
            raise _of_no_such_type(node) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping of a node."""
        if not isinstance(node, yaml.MappingNode):
            raise _of_no_such_type(node)
        self.flatten_mapping(node)
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is there twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def _of_no_such_type(node: yaml.Node) -> yaml.YAMLError:
    kind = node.tag.rpartition(":")[2]
    return yaml.constructor.ConstructorError(
        None, None, f"this cannot be read as {kind!r}", node.start_mark
    )


def _number(_loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int | Decimal:
    return int(node.value) if re.fullmatch(r"[-+]?[0-9]+", node.value) else Decimal(node.value)


_ExactLoader.add_constructor("tag:yaml.org,2002:int", _number)
_ExactLoader.add_constructor("tag:yaml.org,2002:float", _number)
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]{1,400}", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,9})?", list("-+0123456789.")),
    ("merge", r"<<", ["<"]),
):
    _ExactLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )


async def publish(
    settings: Settings, documents: Sequence[Document], actor: str | None = None
) -> list[Outcome]:
    """Write what is not in force already, in one Kafka transaction; return what became of each.

    When it returns, whoever asks the topic for its end has all of it. ``actor`` is who writes, as
    ``definition_history`` is to show it.

    Raises:
        ApplyError: a milestone names a challenge that is not there, a project with members would
            get another clock, or there would be more definitions than may be linked or fed, or than
            the project may have, or more bytes of them. Nothing was written.
        CommandError: the broker does not answer, or refuses; or the database, where a project is
            to get another clock.
    """
    late = (
        f"the definitions could not be read to their end within {PUBLISH_SECONDS} s: the "
        "broker is slow, or a producer has a transaction open on the topic; apply again: what "
        "is in force already is not written twice"
    )
    async with _reading(settings, late) as reader:
        await reader.catch_up()
        _check_links(reader.definitions, documents)
        outcomes = [_outcome(reader.definitions, document) for document in documents]
        changed = [
            document
            for document, outcome in zip(documents, outcomes, strict=True)
            if outcome.what != "unchanged"
        ]
        changes = _in_order(reader.definitions, changed)
        await _check_clocks(settings, reader.definitions, changes)
        _check_room(reader.definitions, changes)
        if changes:
            await reader.catch_up(await _write(settings, changes, actor))
        return outcomes


async def in_force(settings: Settings) -> Definitions:
    """Return all definitions that are in force.

    Raises:
        CommandError: the broker does not answer, or refuses.
    """
    late = f"the broker does not answer within {PUBLISH_SECONDS} s"
    async with _reading(settings, late) as reader:
        await reader.catch_up(await reader.committed_end())
        return reader.definitions


async def limits_of(settings: Settings, project: str) -> models.Limits:
    """Return the limits of a project that are in force.

    Raises:
        CommandError: the broker does not answer, or refuses.
    """
    return (await in_force(settings)).limits(project)


def as_whole_set(documents: Sequence[Document]) -> tuple[str, Definitions]:
    """Return the one project that documents are of, and the definitions in force where they are all
    that it has.

    Raises:
        ApplyError: there is none, they are of several projects, or they do not fit each other.
    """
    if not documents:
        raise ApplyError("there is no definition in what -f names")
    project = documents[0].project
    for document in documents:
        if document.project != project:
            raise ApplyError(
                f"{document.where}: project: must be one for all documents; "
                f"{documents[0].where} is of {project}"
            )
    definitions = Definitions()
    _check_links(definitions, documents)
    _check_room(definitions, _in_order(definitions, documents))
    return project, definitions


async def projects_on_clocks(settings: Settings) -> Set[str]:
    """Return the projects that have, or had, a clock that is moved by hand.

    Raises:
        CommandError: the broker does not answer, or refuses.
    """
    return (await in_force(settings)).clocks.keys()


@asynccontextmanager
async def _reading(settings: Settings, late: str) -> AsyncIterator[DefinitionsReader]:
    """Read the definitions; ``late`` is what to say where that takes too long.

    Raises:
        CommandError: the broker does not answer, or refuses.
    """
    await check_topics(settings)
    try:
        with words_for_readers(settings):
            async with asyncio.timeout(PUBLISH_SECONDS), DefinitionsReader(settings) as reader:
                yield reader
    except TimeoutError as error:
        raise CommandError(late) from error


def _outcome(definitions: Definitions, document: Document) -> Outcome:
    kind, id_ = document.definition.kind, document.definition.id
    before = definitions.get(document.project, kind, id_)
    if before is None:
        return Outcome(document.key, "created")
    same = before.definition == document.definition
    return Outcome(document.key, "unchanged" if same else "changed")


def _check_links(definitions: Definitions, documents: Sequence[Document]) -> None:
    keys = {document.key for document in documents}
    faults = []
    for document in documents:
        definition = document.definition
        if (
            isinstance(definition, models.Milestone)
            and definition.linked_schema_slug == "challenge"
        ):
            linked = definition.linked_schema_record_id
            key = models.definition_key(document.project, models.Challenge.kind, linked)
            if key not in keys and definitions.challenge(document.project, linked) is None:
                faults.append(f"{document.where}: linkedSchemaRecordId: there is no such challenge")
    if faults:
        raise ApplyError("nothing was written:\n" + "\n".join(faults))


async def _check_clocks(
    settings: Settings, definitions: Definitions, changes: Sequence[Document]
) -> None:
    """Refuse to give a project with members another clock."""
    changed = {
        document.project: document
        for document in changes
        if isinstance(document.definition, models.Project)
        and definitions.changes_clock(document.project, document.definition)
    }
    if not changed:
        return
    from deploy.clock_changes import with_members  # a database's driver, which nothing else wants

    faults = [
        f"{changed[project].where}: clock: {clocks.KEPT}"
        for project in await with_members(settings, list(changed))
    ]
    if faults:
        raise ApplyError("nothing was written:\n" + "\n".join(faults))


def _in_order(in_force: Definitions, documents: Sequence[Document]) -> list[Document]:
    """Return documents as they are to be written, for whoever reads them holds each against what
    stands before it: the limits of the projects, then what becomes shorter, then the others."""

    def rank(document: Document) -> int:
        definition = document.definition
        if isinstance(definition, models.Project):
            return 0
        before = in_force.get(document.project, definition.kind, definition.id)
        return 1 if before is not None and len(models.encode(definition)) < before.size else 2

    return sorted(documents, key=rank)


def _check_room(in_force: Definitions, documents: Sequence[Document]) -> None:
    """Put the documents in force one after the other; what is in force is this run's own view."""
    faults = []
    created = [
        document
        for document in documents
        if in_force.get(document.project, document.definition.kind, document.definition.id) is None
    ]
    for document in documents:
        key, value = document.key.encode(), models.encode(document.definition)
        try:
            in_force.apply(key, value, in_force.next_offset, 0)
        except models.DefinitionError as error:
            faults += [
                f"{document.where}: {field}: {text}" if field else f"{document.where}: {text}"
                for field, text in error.errors
            ]
    faults += _too_many(in_force, created)
    if faults:
        raise ApplyError("nothing was written:\n" + "\n".join(faults))


def _too_many(in_force: Definitions, created: Sequence[Document]) -> list[str]:
    """Name the first new document of each kind of which a project has too many by now; its limits
    are those that hold with all documents."""
    faults: dict[tuple[str, str], str] = {}
    for document in created:
        project, kind = document.project, document.definition.kind
        most = in_force.limits(project).definitions_per_kind
        count = in_force.count(project, kind)
        if kind != models.Project.kind and count > most:
            faults.setdefault(
                (project, kind),
                f"{document.where}: kind: project {project} would have {count} definitions of kind "
                f"{kind}, and may have {most}",
            )
    return list(faults.values())


async def _write(settings: Settings, documents: Sequence[Document], actor: str | None) -> int:
    """Write all documents in one transaction; return the offset after the last one."""
    producer = AIOKafkaProducer(
        **settings.kafka_options(),
        transactional_id=f"{settings.topic(settings.application_id)}-apply-{uuid.uuid4()}",
        transaction_timeout_ms=10_000,
    )
    await producer.start()
    try:
        async with producer.transaction():
            sent = [
                await producer.send(
                    settings.topic(DEFINITIONS),
                    models.encode(document.definition),
                    key=document.key.encode(),
                    partition=0,
                    headers=actor_headers(actor),
                )
                for document in documents
            ]
            offsets = [(await future).offset for future in sent]
        return int(max(offsets)) + 1
    finally:
        await producer.stop()
