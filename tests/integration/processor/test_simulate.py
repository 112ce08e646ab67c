"""``milestream simulate``: what is recorded under other definitions, beside what was given."""

import json
import os
import subprocess
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from schemas.settings import Settings
from schemas.topics import TOPICS
from tests import forking
from tests.integration.processor.driving import (
    CHALLENGE,
    MILESTONES,
    NOW,
    TARGET,
    History,
    Record,
    Worker,
    definition,
    definitions,
    drain,
    produce,
    values,
    wait_folded,
)

MONTH = NOW[:7]
TRIED_TARGET, TRIED_MILESTONE = Decimal(80), Decimal(30)
TRIED = f"""
kind: challenge
id: {CHALLENGE}
name: Spend
aggregationPeriod: monthly
completionTargetValue: {TRIED_TARGET}
pointsOnCompletion: 7
---
kind: milestone
id: {next(iter(MILESTONES))}
name: Sooner
linkedSchemaRecordId: {CHALLENGE}
milestoneTargetValue: {TRIED_MILESTONE}
"""

Figures = dict[tuple[str, str, str], dict[str, Any]]


def simulate(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return forking.run(("simulate", *arguments), os.environ | settings.to_env(), seconds=300)


def figures(found: subprocess.CompletedProcess[str]) -> Figures:
    assert found.returncode == 0, found.stderr
    rows = json.loads(found.stdout)["figures"]
    return {(row.pop("kind"), row.pop("id"), row.pop("month")): row for row in rows}


def counts(counted: int = 0, points: int = 0, rewards: int = 0, completions: int = 0) -> Any:
    return {"counted": counted, "points": points, "rewards": rewards, "completions": completions}


def really_given(settings: Settings) -> dict[tuple[str, str, str], dict[str, int]]:
    """What the outputs of the project say."""
    types: Counter[str] = Counter()
    rewards: Counter[str] = Counter()
    for event in values(settings, "progress-events", "reward-events"):
        if event["source"].endswith("/default"):
            types[event["type"].split(".", 1)[1]] += 1
            rewards[event["data"].get("milestoneId", "")] += 1
    challenge = counts(
        types["challenge_log.recorded.v1"], completions=types["challenge.completed.v1"]
    )
    given = {
        ("milestone", id_, MONTH): counts(rewards=rewards[id_], completions=rewards[id_])
        for id_ in MILESTONES
    }
    return given | {("challenge", CHALLENGE, MONTH): challenge}


def tried(history: History) -> dict[tuple[str, str, str], dict[str, int]]:
    """What the logs come to under the definitions that are tried."""
    completed = sum(total >= TRIED_TARGET for total in history.sums.values())
    reached = sum(total >= TRIED_MILESTONE for total in history.sums.values())
    first, second = MILESTONES
    return {
        ("challenge", CHALLENGE, MONTH): counts(
            len(history.seen), points=7 * completed, completions=completed
        ),
        ("milestone", first, MONTH): counts(rewards=reached, completions=reached),
        ("milestone", second, MONTH): counts(),
    }


def test_what_is_recorded_is_folded_again_beside_what_was_given(
    settings: Settings, tmp_path: Path
) -> None:
    history = History(members=30, seed=14)
    others: list[Record] = [
        definition("challenge", CHALLENGE, "other", name="Of others", completionTargetValue=1),
        ("challenge-logs", 0, None, b"{", ()),
    ]
    produce(settings, [*definitions(), *others])
    lowered = definition(
        "challenge",
        CHALLENGE,
        name="Spend",
        aggregationPeriod="monthly",
        completionTargetValue=TARGET / 2,
    )
    with Worker(settings, "w") as worker:
        logs = history.records(500, settings)
        of_others = [
            (
                topic,
                partition,
                key,
                (value or b"").replace(b"{", b'{"project":"other",', 1),
                headers,
            )
            for topic, partition, key, value, headers in logs[:50]
        ]
        produce(settings, [*logs, *of_others])
        wait_folded(settings, 551, 120, worker)
        produce(settings, [lowered])
        produce(settings, history.records(300, settings))
        wait_folded(settings, 851, 120, worker)
    documents = tmp_path / "tried.yaml"
    documents.write_text(TRIED)
    before = [(r.topic, r.partition, r.offset) for r in drain(settings, *TOPICS)]

    found = figures(simulate(settings, "-f", str(documents), "--from-topics", "--json"))

    assert [(r.topic, r.partition, r.offset) for r in drain(settings, *TOPICS)] == before
    in_force = {row: each.pop("inForce") for row, each in found.items()}
    assert in_force == really_given(settings)
    assert sum(each["completions"] for each in in_force.values()) > 0
    assert found == tried(history)

    _a_file_goes_under_what_is_in_force_now(settings, history, documents)


def _a_file_goes_under_what_is_in_force_now(
    settings: Settings, history: History, documents: Path
) -> None:
    file = documents.with_name("logs.ndjson")
    lines = [r.value for r in drain(settings, "challenge-logs") if b'"project"' not in r.value]
    file.write_bytes(b"\n".join(line for line in lines if line != b"{"))
    asked = ("-f", str(documents), "--input", str(file))
    found = figures(simulate(settings, *asked, "--json"))
    in_force = {row: each.pop("inForce") for row, each in found.items()}
    assert found == tried(history)
    assert in_force["challenge", CHALLENGE, MONTH] == counts(
        len(history.seen),
        completions=sum(total >= TARGET / 2 for total in history.sums.values()),
    )
    table = simulate(settings, *asked)
    assert table.returncode == 0
    assert f"{len(history.seen):,}" in table.stdout
    file.write_bytes(b"\n".join([*lines[:3], b"{"]))
    bad = simulate(settings, *asked)
    assert bad.returncode == 1
    assert "logs.ndjson, line " in bad.stderr
