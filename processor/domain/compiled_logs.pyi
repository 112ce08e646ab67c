from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.inputs import Record
from processor.domain.ordinary import OrdinaryLog
from processor.domain.working_set import Entry

class CompiledLogs:
    def __init__(
        self,
        definitions: Definitions,
        entries: dict[bytes, Entry | bytes | None],
        changed: dict[bytes, Entry | bytes | None],
        effects: Effects,
    ) -> None: ...
    def read(self, record: Record) -> OrdinaryLog | None: ...
    def step(self, log: OrdinaryLog, sequence: int) -> bool: ...
