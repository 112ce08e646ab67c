"""The documents as data: their code, tables, headings and links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("schemas", "processor", "projections", "api", "deploy", "tests")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Document:
    """One Markdown file."""

    path: Path

    @cached_property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text("utf-8")

    @cached_property
    def blocks(self) -> list[tuple[str, str]]:
        """Its code blocks: (language, code)."""
        return _FENCE.findall(self.text)

    @cached_property
    def prose(self) -> str:
        """What is outside of its code blocks."""
        return _FENCE.sub("", self.text)

    @cached_property
    def spans(self) -> list[str]:
        """Its code within sentences; a line break within one counts as a space."""
        return [" ".join(span.split()) for span in _SPAN.findall(self.prose)]

    @cached_property
    def links(self) -> list[str]:
        """Where its links lead, as they are written."""
        return _LINK.findall(self.prose)

    @cached_property
    def anchors(self) -> set[str]:
        """What may stand behind ``#`` in a link to it."""
        return {anchor_of(heading) for heading in _HEADING.findall(self.prose)}

    @cached_property
    def name(self) -> str:
        """Its path from the top."""
        return str(self.path.relative_to(ROOT))

    def first_cells(self, header: str) -> Iterator[str]:
        """The code in the first column of every table whose first column is called ``header``."""
        inside = False
        for line in self.prose.splitlines():
            cells = line.split("|")
            if len(cells) < 3 or line[0] != "|":
                inside = False
            elif cells[1].strip() == header:
                inside = True
            elif inside:
                yield from _SPAN.findall(cells[1])


def anchor_of(heading: str) -> str:
    """Return the anchor that a heading gets: lower case, hyphens for spaces, no punctuation."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def documents() -> list[Document]:
    """Every document of the repository."""
    found = [ROOT / "README.md", ROOT / "CHANGELOG.md"]
    for package in PACKAGES:
        found += sorted((ROOT / package).rglob("*.md"))
    return [Document(path) for path in found]


def sources() -> dict[Path, str]:
    """The text of every source file, by path; documents apart."""
    suffixes = (".py", ".pyi", ".pyx", ".pxi", ".sql", ".yaml", ".toml", ".html", ".txt", ".java")
    found = [ROOT / "Makefile", ROOT / "pyproject.toml", ROOT / ".gitignore"]
    for package in PACKAGES:
        found += [p for p in sorted((ROOT / package).rglob("*")) if p.suffix in suffixes]
    return {path: path.read_text("utf-8") for path in found if path.is_file()}
