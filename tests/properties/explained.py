"""What explanations are made of, as the read models would have it: rows by the projections' own
functions, in memory."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from api.kafka import chunk_log
from api.kafka.chunk_log import Chunk
from processor.domain.definitions import Definitions
from processor.domain.retelling.progress import Corrected, Judge, Logged, Statuses, Voided
from processor.domain.retelling.streaks import Qualifying
from processor.domain.retelling.tiers import Entry
from processor.domain.rules import Challenge, Streak, TierSet
from projections.catalogue import PROJECTIONS
from projections.projection import Amended, Deleted
from schemas import outputs
from schemas.topics import CHUNK_LOG
from tests.spec import OUTPUT_TOPICS, Happened

Rows = list[dict[str, Any]]


class _AnyRule(msgspec.Struct, kw_only=True):
    """The fields of ``Qualifying`` that are in a row."""

    id: str
    occurred_at: datetime
    created_at: datetime
    sequence: int
    version: int


class Tables:
    """Some read models, filled from what chunks led to."""

    def __init__(self, chunks: Iterable[Happened]) -> None:
        chunks = list(chunks)
        self.chunks: list[Chunk] = [
            chunk_log.decode(output.value)
            for chunk in chunks
            for output in chunk.outputs(CHUNK_LOG)
        ]
        self._events = [
            outputs.decode(output.value)
            for topic in OUTPUT_TOPICS
            if topic not in ("dead-letters", "replies")
            for chunk in chunks
            for output in chunk.outputs(topic)
            if output.value
        ]

    def rows(self, table: str) -> Rows:
        """Return the rows of a table, the newest of each key where that is what it keeps."""
        projection = PROJECTIONS[table]
        found: dict[Any, dict[str, Any]] = {}
        for event in self._events:
            for row in projection.rows(event):
                assert not isinstance(row, Deleted)
                if isinstance(row, Amended):
                    continue
                key = projection.key_of(row)
                if projection.newest_by is not None or key not in found:
                    found[key] = dict(zip(projection.columns, row, strict=True))
        return list(found.values())

    def logs(self) -> list[tuple[str, str, Logged]]:
        """Return member and challenge of each challenge log, and the log."""
        portions = {v.log_id: v.portion for v in self.voids()}
        fed = {row["id"] for row in self.rows("event_log")}
        return [
            (
                row["member_id"],
                row["challenge_id"],
                msgspec.convert(
                    row
                    | {
                        "method": row["aggregation_method"],
                        "version": row["definition_version"],
                        "rewards": _array(row["achieved_milestone_reward_log_ids"]),
                        "voided_portion": portions.get(row["id"], 0),
                        "fed": row["unique_identifier"] in fed,
                    },
                    Logged,
                    strict=False,
                ),
            )
            for row in self.rows("challenge_logs")
        ]

    def voids(self) -> list[Voided]:
        """Return the voids of challenge logs and events."""
        return [
            msgspec.convert(row | {"log_id": row["id"]}, Voided, strict=False)
            for row in self.rows("voids")
        ]

    def corrections(self, progress_id: str) -> list[Corrected]:
        """Return the corrections of a progress."""
        return [
            msgspec.convert(
                row
                | {
                    "method": row["aggregation_method"],
                    "at": row["corrected_at"],
                    "version": row["definition_version"],
                },
                Corrected,
                strict=False,
            )
            for row in self.rows("progress_corrections")
            if row["progress_id"] == progress_id
        ]

    def statuses(self, member_id: str) -> Statuses:
        """Return what a member's status was."""
        return Statuses(
            (row["sequence"], row["version"], row["status"])
            for row in self.rows("member_history")
            if row["member_id"] == member_id
        )

    def qualifying(self, history: "History", streak_id: str, member_id: str) -> list[Qualifying]:
        """Return the events that counted for a streak."""
        statuses, found = self.statuses(member_id), []
        for row in self.rows("event_log"):
            if row["member_id"] != member_id or not row["condition_reached"]:
                continue
            known = self.chunk_of(row["sequence"]).definitions
            rule = history.streak_before(streak_id, known)
            if rule is None or row["event_id"] not in rule[1]:
                continue
            if statuses.at(row["sequence"]) != "live":
                continue
            fields = row | {"version": row["definition_version"]}
            event = msgspec.convert(fields, _AnyRule, strict=False)
            found.append(Qualifying(**{**msgspec.structs.asdict(event), "rule": rule[0]}))
        return found

    def entries(self, member_id: str, *, earned: bool) -> list[Entry]:
        """Return a member's entries of the ledger, with what they add to what is earned, or to the
        balance."""
        rows = [row for row in self.rows("points_ledger") if row["member_id"] == member_id]
        by_id = {row["id"]: row for row in rows}
        return [
            msgspec.convert(
                row
                | {
                    "points": int(row["points"])
                    - (int(row["not_recovered"]) if earned and row["granted_at"] else 0),
                    "earned_at": row["occurred_at"]
                    if row["operation"] == "grant"
                    else row["granted_at"],
                    "granted_at": by_id.get(row["reversed_entry_id"], row)["created_at"],
                },
                Entry,
                strict=False,
            )
            for row in rows
        ]

    def chunk_of(self, sequence: int) -> Chunk:
        """Return the chunk that folded the input of a place."""
        return next(each for each in self.chunks if each.sequence <= sequence < each.end)


class History(Definitions):
    """Definitions that remember what challenges were."""

    def __init__(self) -> None:
        super().__init__()
        self.challenges: dict[int, Challenge] = {}
        self.sets: dict[int, tuple[TierSet, int]] = {}
        """By version, with the one that the set was first defined with."""
        self._streaks: dict[str, list[tuple[int, Streak | None, frozenset[str]]]] = {}

    def changed(self, key: Any, before: Any, after: Any) -> None:
        """Keep the rule of each version."""
        super().changed(key, before, after)
        project, kind, id_ = key
        if kind == "challenge" and after is not None:
            rule = self.challenge(project, id_)
            assert rule is not None
            self.challenges[after.version] = rule
        if kind == "tier-set" and after is not None:
            found = self.tier_set(project, id_)
            assert found is not None
            self.sets[after.version] = found, after.first
        if kind == "streak":
            names = frozenset[str]() if after is None else frozenset(after.definition.event_ids)
            version = self.next_offset - 1
            self._streaks.setdefault(id_, []).append((version, self.streak(project, id_), names))

    def streak_before(self, id_: str, offset: int) -> tuple[Streak, frozenset[str]] | None:
        """Return a streak as a chunk knew it, and the events that it named."""
        known = [each for each in self._streaks.get(id_, ()) if each[0] < offset]
        if not known or known[-1][1] is None:
            return None
        return known[-1][1], known[-1][2]


def judge(tables: Tables, history: History, member_id: str) -> Judge:
    """Return the judge of a member's logs."""
    return Judge(history.challenges, tables.statuses(member_id))


def _array(text: str) -> list[str]:
    return [each for each in text.strip("{}").split(",") if each]
