"""Which topics a partition's state is made of: those with these ids, not others by the same names.

A topic that is deleted and made anew has another id. State that was folded from the one before it
would take new records for folded ones, or be gone from the new changelog; so a worker refuses it.
The inputs' ids are an entry of the changelog as well, for a store may be lost and restored.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from processor.context import WorkerContext
from processor.domain.effects import Effects
from processor.store import PartitionStore, StoreError
from schemas.kafka.descriptions import TopicDescription
from schemas.topics import INPUT_TOPICS, changelog_topic

INPUTS = b"\x00inputs"
"""The one entry that the fold knows nothing of: the inputs' ids by name, as JSON."""

_Ids = dict[str, str]


async def describe(context: WorkerContext) -> Mapping[str, TopicDescription]:
    """Return the state's topics, by name with prefix, of those that there are.

    Raises:
        KafkaError: the broker does not answer.
    """
    if context.describer is None:
        return {}
    topic = context.settings.topic
    changelog = changelog_topic(context.settings.application_id).name
    return await context.describer.topics([*map(topic, INPUT_TOPICS), topic(changelog)])


def check_changelog(
    context: WorkerContext, store: PartitionStore, described: Mapping[str, TopicDescription]
) -> None:
    """Bind a store to its changelog, or check that it was filled from this one.

    Raises:
        StoreError: it was filled from one that was deleted.
    """
    name = context.settings.topic(changelog_topic(context.settings.application_id).name)
    topic = described.get(name)
    if topic is not None and not store.is_from(str(topic.id)):
        raise StoreError(
            f"{store.path} was filled from a {name} that was deleted, and the one that there is "
            "was made anew: without its changelog the state cannot be trusted; use another "
            "MILESTREAM_APPLICATION_ID or MILESTREAM_TOPIC_PREFIX"
        )


async def bind_inputs(
    context: WorkerContext, partition: int, described: Mapping[str, TopicDescription]
) -> None:
    """Bind a partition's state, which is up to date, to its inputs, or check that it is of these.

    Raises:
        StoreError: it was folded from topics that were deleted.
        Fenced, Overdue, KafkaError: see ``PartitionProducer.write``.
    """
    store = context.store[partition]
    there = {
        name: str(described[context.settings.topic(name)].id)
        for name in INPUT_TOPICS
        if context.settings.topic(name) in described
    }
    (raw,) = store.load([INPUTS])
    bound: Any = {} if raw is None else msgspec.json.decode(raw, type=_Ids)
    folded = store.position().offsets
    for name, id_ in there.items():
        if bound.get(name, id_) != id_ and folded.get(name, 0) > 0:
            raise StoreError(
                f"{context.settings.topic(name)}, partition {partition}, was deleted and made anew "
                f"after it had been folded up to offset {folded[name]}: the state would take its "
                "records for folded ones; use another MILESTREAM_APPLICATION_ID or "
                "MILESTREAM_TOPIC_PREFIX"
            )
    if bound | there != bound:
        entry: dict[bytes, bytes | None] = {INPUTS: msgspec.json.encode(bound | there)}
        end = await context.producers[partition].write(Effects(writes=entry))
        store.apply(entry, end)
