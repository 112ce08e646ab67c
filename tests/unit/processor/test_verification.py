"""``milestream verify`` folds a chunk as the version of the fold did that the chunk log names."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition

from processor.domain.fold import FOLD_VERSION, ChunkLogged
from processor.recorded import FoldedByNewer, RecordedPartition
from processor.verification import Difference, Verified, _Replay
from schemas.settings import Settings
from schemas.topics import CHUNK_LOG, DEFINITIONS, INPUT_TOPICS, MEMBER_COMMANDS, OUTPUT_TOPICS
from tests.spec import Happened, Partition, Sent, ann, upsert


@dataclass(frozen=True)
class Written:
    """A record on an output topic."""

    offset: int
    key: bytes | None
    value: bytes


class Lying:
    """A partition whose records are these, read forward."""

    def __init__(self, topic: str, records: Sequence[Any] = ()) -> None:
        self.place = TopicPartition(topic, 0)
        self._records = list(records)

    async def next(self) -> Any | None:
        return self._records.pop(0) if self._records else None

    async def peek(self) -> Any | None:
        return self._records[0] if self._records else None

    async def span(self, _first: int, last: int) -> list[Any]:
        taken = [record for record in self._records if record.offset <= last]
        self._records = self._records[len(taken) :]
        return taken


SENT = (ann, upsert("ben"), upsert("ann", email="ann@example.org"))


def _folded() -> tuple[list[Sent], list[Happened]]:
    """Two chunks: the records and what came of them."""
    partition = Partition()
    sent = [replace(record, offset=n, headers=()) for n, record in enumerate(SENT)]
    return sent, [partition.fold(*sent[:2]), partition.fold(sent[2])]


async def _verify(chunks: Sequence[bytes], directory: Path) -> Verified:
    sent, happened = _folded()
    written: dict[str, list[Any]] = {MEMBER_COMMANDS: sent}
    written[CHUNK_LOG] = [Written(n, None, value) for n, value in enumerate(chunks)]
    for each in happened:
        for topic in OUTPUT_TOPICS:
            lying = written.setdefault(topic, [])
            lying += [
                Written(len(lying) + n, o.key, o.value) for n, o in enumerate(each.outputs(topic))
            ]
    topics = (CHUNK_LOG, DEFINITIONS, *INPUT_TOPICS, *OUTPUT_TOPICS)
    cursors: Any = {topic: Lying(topic, written.get(topic, ())) for topic in topics}
    settings = Settings(partitions=1)
    recorded = RecordedPartition(cursors)
    return await _Replay(settings, 0, lambda _: None).run(recorded, directory)


def _as_logged() -> list[ChunkLogged]:
    return [
        msgspec.json.decode(happened.outputs(CHUNK_LOG)[0].value, type=ChunkLogged)
        for happened in _folded()[1]
    ]


def _with_fold(*versions: int) -> list[bytes]:
    chunks = zip(_as_logged(), versions, strict=True)
    return [msgspec.json.encode(msgspec.structs.replace(c, fold=v)) for c, v in chunks]


def test_a_chunk_names_the_version_of_the_fold() -> None:
    assert [chunk.fold for chunk in _as_logged()] == [FOLD_VERSION, FOLD_VERSION]
    (first, *_) = _with_fold(FOLD_VERSION, FOLD_VERSION)
    assert first.endswith(b',"fold":%d}' % FOLD_VERSION)


async def test_chunks_of_every_version_are_compared_as_they_were(tmp_path: Path) -> None:
    for versions in ((FOLD_VERSION, FOLD_VERSION), (0, FOLD_VERSION), (0, 0)):
        chunks = _with_fold(*versions)
        assert all((b"fold" in chunk) == (v > 0) for chunk, v in zip(chunks, versions, strict=True))
        directory = tmp_path / "-".join(map(str, versions))
        directory.mkdir()
        assert await _verify(chunks, directory) == Verified(inputs=3, outputs=3)


async def test_a_chunk_of_a_later_version_is_not_judged(tmp_path: Path) -> None:
    with pytest.raises(FoldedByNewer, match="chunk-log, partition 0, offset 1: folded by version"):
        await _verify(_with_fold(FOLD_VERSION, FOLD_VERSION + 1), tmp_path)


async def test_a_chunk_that_was_tampered_with_is_found(tmp_path: Path) -> None:
    first, second = _as_logged()
    forged = msgspec.json.encode(msgspec.structs.replace(first, count=3))
    with pytest.raises(Difference, match="chunk-log, partition 0, offset 0"):
        await _verify([forged, msgspec.json.encode(second)], tmp_path)
