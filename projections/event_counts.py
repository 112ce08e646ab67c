"""What statistics take of a logged event."""

from collections.abc import Mapping

import msgspec

from projections.projection import Combination, Row

ALL_EVENTS = ""
"""Stands for an event's id where all events of a project are counted together."""

COLUMNS = ("events", "points", "condition_met", "condition_failed", "limit_reached")

SUMS: Mapping[str, Combination] = dict.fromkeys(COLUMNS, "sum")


class Logged(msgspec.Struct, rename="camel", gc=False):
    """Some fields of ``outputs.EventLogged``."""

    event_id: str
    owned_by_id: str
    points: int
    condition_reached: bool
    limit_reached: bool
    local_date: str
    local_hour: int

    def counts(self) -> Row:
        """Return what one event adds to ``COLUMNS``."""
        met = int(self.condition_reached)
        return (1, self.points, met, 1 - met, int(self.limit_reached))


LOGGED = msgspec.json.Decoder(Logged)
