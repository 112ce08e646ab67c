from collections.abc import Iterable
from typing import Any

def pack(records: Iterable[Any], headers: bytes | None, room: int) -> list[tuple[bytes, int]]: ...
