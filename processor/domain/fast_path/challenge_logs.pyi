from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.fast_path import Common, Python
from processor.domain.inputs import Place, Record
from processor.domain.working_set import WorkingSet
from schemas.records import ChallengeLog

class CompiledFold:
    def __init__(
        self,
        place: Place,
        definitions: Definitions,
        entries: WorkingSet,
        effects: Effects,
        takes_events: bool,
    ) -> None: ...
    def read(self, topic: str, record: Record) -> Common | None: ...
    def feed(
        self, record: ChallengeLog, project: str, member_id: str, timestamp: int
    ) -> Common | None: ...
    def step(self, common: Common, sequence: int, python: Python | None = None) -> bool: ...
