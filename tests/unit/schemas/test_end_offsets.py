"""The question where topics end, as it goes over the wire: what aiokafka writes and reads."""

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import UnsupportedVersionError
from aiokafka.protocol.offset import OffsetRequest, OffsetResponse_v3

from schemas.kafka.end_offsets import _Answer, _Question

PLACES = [TopicPartition(topic, number) for topic in ("a", "ü.b") for number in (0, 7, 3)]
TOPICS = [("a", [(0, -1), (7, -1), (3, -1)]), ("ü.b", [(0, -1), (7, -1), (3, -1)])]
VERSIONS = {2: (1, 3)}


@pytest.mark.parametrize("isolation", [0, 1])
@pytest.mark.parametrize("versions", [{2: (1, 2)}, {2: (1, 3)}, {2: (1, 10)}])
def test_it_is_asked_as_aiokafka_asks(isolation: int, versions: dict[int, tuple[int, int]]) -> None:
    ours = _Question(isolation, PLACES).prepare(versions)
    theirs = OffsetRequest(-1, isolation, TOPICS).prepare(versions)
    assert ours.encode() == theirs.encode()
    assert (ours.API_KEY, ours.API_VERSION) == (theirs.API_KEY, theirs.API_VERSION)


def test_the_answer_is_read_as_aiokafka_reads_it() -> None:
    topics = [("a", [(0, 0, -1, 2**40), (7, 6, -1, -1)]), ("ü.b", []), ("c", [(1, 0, -1, 0)])]
    answer = OffsetResponse_v3(12, topics).encode()
    assert _Answer.decode(answer).topics == OffsetResponse_v3.decode(answer).topics == topics


def test_another_version_is_left_to_aiokafka() -> None:
    with pytest.raises(UnsupportedVersionError):
        _Question(0, PLACES).prepare({2: (0, 1)})
