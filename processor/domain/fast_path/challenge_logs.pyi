from collections.abc import Callable

from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.fast_path import FastLog
from processor.domain.inputs import Place, Record
from processor.domain.working_set import Entry, Load
from schemas.records import ChallengeLog

class CompiledLogs:
    def __init__(
        self,
        place: Place,
        definitions: Definitions,
        load: Load,
        widen: Callable[[int], None],
        change: Callable[[bytes, bytes], None],
        entries: dict[bytes, Entry | bytes | None],
        changed: dict[bytes, Entry | bytes | None],
        effects: Effects,
    ) -> None: ...
    def read(self, record: Record) -> FastLog | None: ...
    def feed(
        self, record: ChallengeLog, project: str, member_id: str, timestamp: int
    ) -> FastLog | None: ...
    def step(self, log: FastLog, sequence: int) -> bool: ...
