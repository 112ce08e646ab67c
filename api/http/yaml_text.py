"""Documents as YAML for people, as `milestream apply` reads them: each text and number as it was.

`apply` reads by YAML's 1.2 core rules, other tools by those of 1.1: what either takes for something
else than a text is quoted.
"""

import re
from decimal import Decimal
from typing import Any

import yaml

_WIDTH = 100
_NUMBER = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
"""What `apply` takes for a number."""


class _Dumper(yaml.CSafeDumper):
    """The safe dumper, which writes exact numbers, and texts of several lines as blocks."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (PyYAML's own)
        """Write everything out where it stands."""
        return True


def _number(dumper: yaml.representer.SafeRepresenter, value: Decimal) -> yaml.ScalarNode:
    text = format(value, "f")
    tag = "tag:yaml.org,2002:float" if "." in text else "tag:yaml.org,2002:int"
    return dumper.represent_scalar(tag, text)


def _text(dumper: yaml.representer.SafeRepresenter, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value.strip() else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(Decimal, _number)
_Dumper.add_representer(str, _text)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+.0123456789"))


def yaml_of(document: dict[str, Any]) -> str:
    """Return a document as YAML, its fields in their order."""
    text: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH
    )
    return text
