"""The reader of the ``definitions`` topic that compiles the fold's rules."""

from processor.domain.definitions import Definitions
from schemas.kafka.definitions_reader import DefinitionSetReader
from schemas.settings import Settings


class DefinitionsReader(DefinitionSetReader[Definitions]):
    """Keeps the compiled definitions up to date from the topic."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, Definitions())
