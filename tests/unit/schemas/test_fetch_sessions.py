"""What a broker is told in a session, and what it is taken to know."""

from types import SimpleNamespace
from typing import Any

from aiokafka.protocol.fetch import (
    FetchRequest,
    FetchRequest_v4,
    FetchRequest_v7,
    FetchRequest_v11,
)

from schemas.kafka.fetch_sessions import LEFT_OUT_SECONDS, PARTIAL_WAIT_MS, FetchSession, _InSession

A, B = ("a", 0), ("b", 1)


def answer(session_id: int = 7, error: int = 0, *codes: int) -> Any:
    """Return an answer of a session; `codes` are those of the partitions that it names."""
    partitions = [(number, code) for number, code in enumerate(codes)]
    return SimpleNamespace(
        API_VERSION=11, session_id=session_id, error_code=error, topics=[("a", partitions)]
    )


def begun(*wanted: tuple[str, int]) -> FetchSession:
    """Return a session that has asked for these partitions from offset 5 on."""
    session = FetchSession()
    session.next(dict.fromkeys(wanted, (5, 100)))
    session.answered(answer())
    return session


def test_the_first_request_names_all_and_the_next_what_changed() -> None:
    session = FetchSession()
    both = {A: (5, 100), B: (5, 100)}
    assert session.next(both) == (0, 0, both, ())
    session.answered(answer())
    assert session.next(both) == (7, 1, {}, [])
    session.answered(answer())
    assert session.next({A: (6, 100), B: (5, 100)}) == (7, 2, {A: (6, 100)}, [])


def test_what_is_left_out_is_forgotten_and_named_again() -> None:
    session = begun(A, B)
    assert session.next({A: (5, 100)}) == (7, 1, {}, [B])
    session.answered(answer())
    assert session.next({A: (5, 100), B: (5, 100)}) == (7, 2, {B: (5, 100)}, [])


def test_where_the_broker_knows_no_such_session_all_is_named_again() -> None:
    both = {A: (5, 100), B: (5, 100)}
    for refused in (answer(7, 70), answer(7, 71), answer(0)):
        session = begun(A, B)
        session.next(both)
        session.answered(refused)
        assert session.next(both) == (7, 0, both, ())
    session = begun(A, B)
    session.begin_anew()
    assert session.next(both) == (7, 0, both, ())


def test_epochs_begin_again_after_the_last() -> None:
    session = begun(A)
    session._epoch = 2**31 - 1
    session.answered(answer())
    assert session.next({A: (5, 100)})[1] == 1


def test_a_fetch_that_leaves_something_out_is_partial_until_it_is_back() -> None:
    session = begun(A, B)
    assert not session.is_partial({A: (5, 100), B: (5, 100)}, 0.0)
    for now in (1.0, 2.0):  # it stays so, though the request before left it out already
        assert session.is_partial({A: (5, 100)}, now)
        session.next({A: (5, 100)})
    assert not session.is_partial({A: (5, 100), B: (5, 100)}, 3.0)
    session.next({A: (5, 100), B: (5, 100)})
    assert session.is_partial({A: (5, 100)}, 10.0)
    session.next({A: (5, 100)})
    assert not session.is_partial({A: (5, 100)}, 10.0 + LEFT_OUT_SECONDS)  # it has moved away


def test_a_broker_that_serves_nothing_is_not_heard_of() -> None:
    session = FetchSession()
    for refused in (answer(7, 71), answer(7, 0, 6), answer(7, 0, 6, 3)):
        session.answered(refused)
        assert session.heard < 0
    session.answered(answer(7, 0, 6, 0))
    assert session.heard >= 0
    quiet = begun(A)
    assert quiet.heard >= 0


def test_each_version_of_the_request_has_its_fields() -> None:
    topics = [("a", [(0, 5, 100)])]
    for version, session_fields, partition in (
        (FetchRequest_v4, {}, (0, 5, 100)),
        (FetchRequest_v7, {"session_id": 0, "session_epoch": 0}, (0, 5, -1, 100)),
        (FetchRequest_v11, {"session_id": 0, "session_epoch": 0}, (0, -1, 5, -1, 100)),
    ):
        whole = FetchRequest(250, 1, 1000, 1, topics)
        built = _InSession(FetchSession(), whole).build(version)
        assert built.topics == [("a", [partition])]
        assert {name: getattr(built, name) for name in session_fields} == session_fields
        assert version.SCHEMA.encode([getattr(built, name) for name in version.SCHEMA.names])


def test_a_partial_fetch_may_not_be_held_for_long() -> None:
    session = begun(A, B)
    whole = FetchRequest(250, 1, 1000, 1, [("a", [(0, 5, 100)])])
    assert _InSession(session, whole).build(FetchRequest_v11).max_wait_time == PARTIAL_WAIT_MS
