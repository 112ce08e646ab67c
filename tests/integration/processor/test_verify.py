"""``milestream verify``: says yes to what was written, and finds what was tampered with."""

import json
import os
import subprocess
import sys

from schemas.settings import Settings
from tests.integration.processor.driving import (
    History,
    Record,
    Worker,
    definition,
    definitions,
    drain,
    produce,
    wait_folded,
    wait_until,
)

CHANGED = "22222222-2222-4222-8222-222222222201"


def verify(settings: Settings) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", "verify"],
        env=os.environ | settings.to_env(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def folded(settings: Settings) -> int:
    """How many inputs the chunk log accounts for, ticks included."""
    return sum(json.loads(r.value)["count"] for r in drain(settings, "chunk-log"))


def test_outputs_are_what_the_inputs_give_across_definitions_and_kills(settings: Settings) -> None:
    settings = settings.model_copy(update={"tick_seconds": 1})  # so that there are some
    history = History(members=100, seed=20)
    produce(settings, definitions())
    poison: list[Record] = [("challenge-logs", 0, None, b"{", ())]
    with Worker(settings, "w") as worker:
        produce(settings, [*history.records(1_000, settings), *poison])
        wait_folded(settings, history.sent + 1, 180, worker)
        worker.kill()
        lowered = definition(
            "milestone",
            CHANGED,
            name="Lowered",
            linkedSchemaRecordId="11111111-1111-4111-8111-111111111111",
            milestoneTargetValue=50,
        )
        produce(settings, [lowered])
        worker.start()
        produce(settings, history.records(1_000, settings))
        wait_folded(settings, history.sent + 1, 180, worker)
        wait_until(  # ticks come after them
            lambda: folded(settings) > history.sent + 1, 120, lambda: worker.text()[-3000:]
        )
    found = verify(settings)
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith(f"{folded(settings)} inputs give the ")

    forged = drain(settings, "reward-events")[0]
    produce(settings, [("reward-events", forged.partition, forged.key, forged.value, ())])
    found = verify(settings)
    assert found.returncode == 1
    assert "reward-events" in found.stderr
    assert "no input gives this" in found.stderr
