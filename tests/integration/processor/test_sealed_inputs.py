"""Sealed members from a file to their events: with the master key, and not at all without."""

import os
import subprocess
from decimal import Decimal
from pathlib import Path

from schemas.settings import Settings
from tests import forking
from tests.integration.processor.driving import (
    Worker,
    drain,
    values,
    wait_until,
)
from tests.integration.processor.test_refusing_to_run import refuses

MEMBERS = 500


def run(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return forking.run(arguments, os.environ | settings.to_env(), seconds=300)


def without_key(settings: Settings) -> Settings:
    return settings.model_copy(update={"master_key": None})


def lines(first: int) -> str:
    """Members, two lines each, with what a re-encoding could harm."""
    return "".join(
        f'{{"type":"upsert-member", "externalId":"m-{number}", "attributes":{{"n":{number}.10}}, '
        f'"firstName":"Sealed-{number}", "city":null, "later":"unknown"}}\n'
        f'{{"type":"upsert-member", "externalId":"m-{number}", "email":"m{number}@example.org"}}\n'
        for number in range(first, first + MEMBERS)
    )


def test_what_an_import_seals_is_opened_where_the_master_key_is_known(
    settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "members.ndjson"
    file.write_text(lines(0))
    refused = run(without_key(settings), "import", "member-commands", str(file))
    assert (refused.returncode, "MILESTREAM_MASTER_KEY must be set" in refused.stderr) == (1, True)
    done = run(settings, "import", "member-commands", str(file))
    assert done.returncode == 0, done.stderr
    file.write_text(lines(MEMBERS - 1))  # begins with a member that has a key
    done = run(settings, "import", "member-commands", str(file), "--restart")
    assert done.returncode == 0, done.stderr

    sent = b"".join(record.value for record in drain(settings, "member-commands"))
    assert (b"Sealed-" in sent, b"@example.org" in sent) == (False, False)
    keys = [record.key for record in drain(settings, "member-keys")]
    assert (len(keys), len(set(keys))) == (2 * MEMBERS - 1, 2 * MEMBERS - 1)

    assert "member-keys has keys of members: MILESTREAM_MASTER_KEY must be set" in refuses(
        Worker(without_key(settings), "w")
    )
    with Worker(settings, "w") as worker:
        wait_until(
            lambda: len(drain(settings, "member-events")) >= 2 * (2 * MEMBERS - 1),
            180,
            lambda: worker.text()[-3000:],
            watch=worker.process,
        )
    members = {event["subject"]: event["data"] for event in values(settings, "member-events")}
    for member in members.values():
        number = member["externalId"].removeprefix("m-")
        assert member["firstName"] == f"Sealed-{number}"
        assert member["email"] == f"m{number}@example.org"
        assert member["attributes"] == {"n": Decimal(f"{number}.10")}

    assert run(settings, "verify").returncode == 0
    refused = run(without_key(settings), "verify")
    assert (refused.returncode, "MILESTREAM_MASTER_KEY must be set" in refused.stderr) == (1, True)
