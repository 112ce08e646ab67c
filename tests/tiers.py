"""Which tests `make test-fast` leaves out, by the marker `slow`; `make test` runs them all.

What starts a process or takes long is slow. Where its neighbours are not, it has the marker itself.
"""

WITHOUT_SERVERS = ("tests/unit/",)

SMALL = (
    "tests/integration/api/test_lists.py",
    "tests/integration/api/test_record_json.py",
    "tests/integration/deploy/test_no_broker.py",
    "tests/integration/deploy/test_topics.py",
    "tests/integration/processor/test_transactions.py",
    "tests/integration/projections/test_binding.py",
    "tests/integration/projections/test_event_flow.py",
    "tests/integration/projections/test_flow.py",
)
"""Tests on the real servers that are over in seconds: one of each kind at least."""


def is_slow(node_id: str) -> bool:
    """Whether a test is in neither; what is new is slow until it is named here."""
    return not node_id.startswith((*WITHOUT_SERVERS, *SMALL))
