"""The layering of the design, read from the source: who may import what, and how pure the core is.

schemas <- processor.domain <- processor
schemas <- projections
schemas <- api
deploy may import all of them

Within api: http <- queries <- auth, kafka <- dead_letters, recalculating <- resources
<- voiding, explaining <- each of the faces <- app
and http <- documents <- app
"""

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "processor", "projections", "api", "deploy")

API_BELOW_FACES = (
    "schemas",
    "api.http",
    "api.queries",
    "api.auth",
    "api.kafka",
    "api.metrics",
    "api.pages",
    "api.siblings",
    "api.dead_letters",
    "api.resources",
    "api.voiding",
    "api.explaining",
    "api.recalculating",
)
FACES = tuple(
    f"api.faces.{path.stem}"
    for path in sorted((ROOT / "api" / "faces").iterdir())
    if path.suffix in ("", ".py") and not path.stem.startswith("__")
)

# What modules under a prefix may import of ours, by prefix; the longest prefix that fits counts.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "schemas": ("schemas",),
    "processor.domain": ("schemas", "processor.domain"),
    # An aggregate is its rules: it knows no store, and nobody who hands it a record.
    "processor.domain.aggregates": (
        "schemas",
        "processor.domain.aggregates",
        "processor.domain.inputs",
        "processor.domain.rules",
    ),
    "processor": ("schemas", "processor"),
    "projections": ("schemas", "projections"),
    # Data and pure functions only.
    "projections.read_models": (
        "schemas",
        "projections.read_models",
        "projections.event_table",
        "projections.json_text",
        "projections.projection",
    ),
    "api": ("schemas", "api"),
    # A distribution of its own, which is installed without the product.
    "api.client": (),
    "api.metrics": ("schemas",),
    "api.pages": ("api.pages",),
    "api.siblings": (),
    "api.database_deadline": ("schemas",),
    "api.http": ("schemas", "api.http", "api.metrics"),
    "api.queries": ("schemas", "api.queries", "api.http"),
    "api.auth": ("schemas", "api.auth", "api.queries", "api.http", "api.database_deadline"),
    "api.kafka": (
        *("schemas", "api.kafka", "api.queries", "api.http", "api.metrics"),
        "api.database_deadline",
    ),
    # It replays history as the processor does, in a process of its own.
    "api.recalculating": (
        *("schemas", "api.http", "api.queries", "api.kafka", "api.recalculating"),
        *("processor.recalculation", "processor.recorded"),
    ),
    "api.dead_letters": ("schemas", "api.http", "api.kafka", "api.queries", "api.dead_letters"),
    "api.resources": (
        *("schemas", "api.auth", "api.dead_letters", "api.kafka", "api.metrics", "api.siblings"),
        *("api.recalculating.starting", "api.database_deadline"),
    ),
    "api.voiding": API_BELOW_FACES[:-3],
    # It judges once more by the rules of the pure core, rather than have a copy of them.
    "api.explaining": (*API_BELOW_FACES[:-3], "api.explaining", "processor.domain"),
    # No face imports another.
    **{face: (*API_BELOW_FACES, face) for face in FACES},
    "api.documents": ("schemas", "api.documents", "api.http"),
    "deploy": PACKAGES,
}

# Which packages may import a library at all.
ONLY_IN = {
    "faust": ("processor",),
    "mode": ("processor",),
    "rocksdict": ("processor",),
    "psycopg": ("projections", "api", "deploy"),
    "psycopg_pool": ("projections", "api", "deploy"),
    "fastapi": ("api",),
    "starlette": ("api",),
    "uvicorn": ("api",),
    "typer": ("deploy",),
    "rich": ("deploy",),
    "supervisor": ("deploy",),
    "aiokafka": ("schemas", "processor", "projections", "api", "deploy"),
    "opentelemetry": ("schemas",),
}

# schemas takes no framework but these two; the standard library is free. Its one module that makes
# Kafka consumers for everybody stands apart: nobody below imports it.
SCHEMAS_MAY_USE = ("msgspec", "pydantic", "pydantic_core")
CONSUMERS = "schemas.kafka"
CONSUMERS_MAY_USE = ("aiokafka", "typing_extensions")
# One format of what is sealed, for those who seal and those who open.
SEALING = "schemas.sealing"
SEALING_MAY_USE = ("cryptography",)
# One module knows OpenTelemetry, and imports it where traces are on.
TRACING = "schemas.tracing"
TRACING_MAY_USE = ("opentelemetry",)

# The core's answers come from its arguments alone: no clock, chance, environment or output.
IMPURE_MODULES = (
    "asyncio", "io", "logging", "os", "pathlib", "random", "secrets", "socket", "subprocess",
    "sys", "tempfile", "threading", "time",
)  # fmt: skip
IMPURE_NAMES = ("now", "utcnow", "today", "uuid1", "uuid4", "urandom", "getenv", "environ")
IMPURE_BUILTINS = ("open", "print", "input")


@dataclass(frozen=True)
class Module:
    """One source file of ours."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def package(self) -> str:
        """Its top-level package."""
        return self.name.split(".", 1)[0]

    def imports(self) -> Iterator[tuple[str, int]]:
        """Every module or name that is imported, anywhere in the file, with its line."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.name, node.lineno
            elif isinstance(node, ast.ImportFrom):
                base = self._base(node)
                for alias in node.names:
                    yield f"{base}.{alias.name}", node.lineno

    def _base(self, node: ast.ImportFrom) -> str:
        if node.level == 0:
            return node.module or ""
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        return ".".join([*above, *([node.module] if node.module else [])])


def read(path: Path) -> Module:
    """Parse a file below the root."""
    relative = path.relative_to(ROOT).with_suffix("")
    parts = relative.parts[:-1] if relative.name == "__init__" else relative.parts
    return Module(".".join(parts), path, ast.parse(path.read_text("utf-8"), str(path)))


def is_under(name: str, prefix: str) -> bool:
    """Whether a dotted name is that of a module or in it."""
    return name == prefix or name.startswith(f"{prefix}.")


def rule_for(name: str) -> tuple[str, ...]:
    """What a module may import of ours."""
    fitting = [prefix for prefix in MAY_IMPORT if is_under(name, prefix)]
    return MAY_IMPORT[max(fitting, key=len)]


def broken_imports(module: Module) -> list[str]:
    """Imports of a module that its layer does not allow."""
    allowed = rule_for(module.name)
    broken = []
    for name, line in module.imports():
        top = name.split(".", 1)[0]
        ours = top in PACKAGES and not any(is_under(name, prefix) for prefix in allowed)
        library = module.package not in ONLY_IN.get(top, PACKAGES)
        if ours or library:
            broken.append(f"{module.path.relative_to(ROOT)}:{line} imports {name}")
    return broken


def impurities(module: Module) -> list[str]:
    """Uses of a clock, chance, the environment, files or output."""
    found = [
        (line, name)
        for name, line in module.imports()
        if name.split(".", 1)[0] in IMPURE_MODULES or name.rpartition(".")[2] in IMPURE_NAMES
    ]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in IMPURE_NAMES:
            found.append((node.lineno, node.attr))
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in IMPURE_BUILTINS
        ):
            found.append((node.lineno, node.func.id))
    return [f"{module.path.relative_to(ROOT)}:{line} uses {name}" for line, name in found]


@cache
def all_modules() -> Sequence[Module]:
    """Parse all of ours; not at import, for each process of a run imports this."""
    return [read(path) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


STANDARD_LIBRARY = sys.stdlib_module_names


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_its_layer_allows(package: str) -> None:
    modules = [module for module in all_modules() if module.package == package]
    assert modules, f"{package} has no modules: the test looks in the wrong place"
    assert [line for module in modules for line in broken_imports(module)] == []


def test_schemas_use_no_framework() -> None:
    allowed = {*STANDARD_LIBRARY, *SCHEMAS_MAY_USE, "schemas"}
    used = [
        f"{module.name}:{line} imports {name}"
        for module in all_modules()
        if module.package == "schemas"
        for name, line in module.imports()
        if name.split(".", 1)[0] not in allowed
        and not (is_under(module.name, CONSUMERS) and name.split(".", 1)[0] in CONSUMERS_MAY_USE)
        and not (module.name == SEALING and name.split(".", 1)[0] in SEALING_MAY_USE)
        and not (module.name == TRACING and name.split(".", 1)[0] in TRACING_MAY_USE)
    ]
    assert used == []


def test_contracts_and_the_domain_do_not_know_how_consumers_are_made() -> None:
    below = [
        module
        for module in all_modules()
        if (module.package == "schemas" or is_under(module.name, "processor.domain"))
        and not is_under(module.name, CONSUMERS)
    ]
    assert below, "there are no such modules: the test looks in the wrong place"
    assert [m.name for m in below for name, _ in m.imports() if is_under(name, CONSUMERS)] == []


def made_consumers(module: Module) -> list[int]:
    """The lines that make a Kafka consumer by aiokafka's own class."""
    names = ("AIOKafkaConsumer",)
    return [
        node.lineno
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id in names)
            or (isinstance(node.func, ast.Attribute) and node.func.attr in names)
        )
    ]


def test_every_consumer_is_made_in_one_place_and_so_reads_what_anybody_wrote() -> None:
    ours = [module for module in all_modules() if not is_under(module.name, "api.client")]
    places = {module.name for module in ours if made_consumers(module)}
    assert places == {"schemas.kafka.consumers"}


@pytest.mark.parametrize("source", ["AIOKafkaConsumer()", "aiokafka.AIOKafkaConsumer(x=1)"])
def test_a_consumer_that_is_made_elsewhere_is_found(source: str) -> None:
    assert made_consumers(Module("api.bad", ROOT / "api/bad.py", ast.parse(source))) == [1]


def test_the_domain_uses_no_framework_clock_chance_or_output() -> None:
    domain = [module for module in all_modules() if is_under(module.name, "processor.domain")]
    assert domain, "processor.domain has no modules: the test looks in the wrong place"
    allowed = {*STANDARD_LIBRARY, "msgspec", "schemas", "processor"}
    frameworks = [
        f"{module.name}:{line} imports {name}"
        for module in domain
        for name, line in module.imports()
        if name.split(".", 1)[0] not in allowed
    ]
    assert frameworks + [line for module in domain for line in impurities(module)] == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("schemas.bad", "import faust"),
        ("schemas.bad", "from processor import worker"),
        ("processor.domain.bad", "from processor.store import Store"),
        ("processor.domain.bad", "from .. import store"),
        ("processor.domain.aggregates.bad", "from processor.domain.handlers import ledger"),
        ("processor.domain.aggregates.bad", "from processor.domain import state_kinds"),
        ("processor.bad", "import psycopg"),
        ("projections.bad", "def f():\n    from faust import App"),
        ("projections.bad", "from processor.definitions import Definitions"),
        ("projections.read_models.bad", "from projections.database import connect"),
        ("api.bad", "from processor.agent import fold"),
        ("api.bad", "from processor.definitions import DefinitionsReader"),
        ("schemas.bad", "from processor.domain.definitions import Definitions"),
        ("api.bad", "from projections import migrate"),
        ("api.http.bad", "from api.auth import access"),
        ("api.queries.bad", "from api.faces.records import bodies"),
        ("api.auth.bad", "from api import resources"),
        ("api.kafka.bad", "from api.auth.quotas import Quotas"),
        ("api.faces.events.bad", "from api.faces.records import bodies"),
        ("api.documents.bad", "from api.faces.events import openapi"),
        ("api.faces.events.bad", "from api.documents import openapi"),
        ("api.faces.dashboard.bad", "from api import app"),
        ("deploy.bad", "import fastapi"),
    ],
)
def test_an_import_against_the_layering_is_found(name: str, source: str) -> None:
    path = ROOT / Path(*name.split(".")).with_suffix(".py")
    assert broken_imports(Module(name, path, ast.parse(source))) != []


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "import logging",
        "from random import random",
        "from uuid import uuid4",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import date\ndate.today()",
        "from time import time",
        "print('x')",
        "open('x')",
    ],
)
def test_an_impurity_is_found(source: str) -> None:
    path = ROOT / "processor" / "domain" / "bad.py"
    assert impurities(Module("processor.domain.bad", path, ast.parse(source))) != []
