"""What a command says on stdout for scripts: a line of JSON for each thing."""

import msgspec
import typer


def print_json(value: object) -> None:
    """Print a mapping, struct or dataclass as one line of JSON."""
    typer.echo(msgspec.json.encode(value).decode())
