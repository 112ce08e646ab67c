"""The compose file works as it is written, with no variable set."""

import re
from pathlib import Path
from typing import Any

import yaml

from schemas.settings import Settings

COMPOSE = Path(__file__).parents[3] / "deploy" / "compose.yaml"


def services(**given: str) -> dict[str, Any]:
    """Return the services as Compose sees them with these variables."""

    def value(match: re.Match[str]) -> str:
        return given.get(match["name"]) or match["default"]

    text = COMPOSE.read_text("utf-8")
    text = re.sub(r"\$\{(?P<name>\w+):-(?P<default>[^}]*)\}", value, text)
    assert "${" not in text  # every variable has a default
    found: dict[str, Any] = yaml.safe_load(text)["services"]
    return found


def test_every_part_has_valid_settings_where_no_variable_is_set() -> None:
    parts = services()
    password = parts["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert "development" in password
    for name in ("topics", "migrate", "worker", "projector", "api"):
        settings = Settings.from_env(parts[name]["environment"])
        assert settings.kafka == "kafka:9092" or name == "migrate"
        if name in ("migrate", "projector", "api"):
            assert f":{password}@postgres:5432/" in settings.database_url
    master_key = Settings.from_env(parts["api"]["environment"]).master_key
    assert master_key is not None
    assert len(master_key) == 32
    assert parts["api"]["environment"]["MILESTREAM_MASTER_KEY"].startswith("DevelopmentOnly")


def test_each_part_is_given_the_secrets_that_it_uses_and_no_others() -> None:
    secrets = {"MILESTREAM_DATABASE_URL", "MILESTREAM_MASTER_KEY"}
    given = {name: secrets & set(part.get("environment", {})) for name, part in services().items()}
    assert {name: sorted(found) for name, found in given.items() if found} == {
        "migrate": ["MILESTREAM_DATABASE_URL"],
        "projector": ["MILESTREAM_DATABASE_URL"],
        "worker": ["MILESTREAM_MASTER_KEY"],
        "api": ["MILESTREAM_DATABASE_URL", "MILESTREAM_MASTER_KEY"],
    }


def test_secrets_that_are_given_are_used() -> None:
    parts = services(MILESTREAM_DATABASE_PASSWORD="mine")
    assert parts["postgres"]["environment"]["POSTGRES_PASSWORD"] == "mine"
    assert ":mine@" in parts["api"]["environment"]["MILESTREAM_DATABASE_URL"]
