"""Writes of one turn of the loop go out together, in order, and none is lost at the end."""

import asyncio
from typing import cast

from api.http.write_coalescing import CoalescedWrites


class Recorded:
    """What a transport was told to do."""

    def __init__(self) -> None:
        self.did: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.did.append(data)

    def close(self) -> None:
        self.did.append(b"closed")

    def is_closing(self) -> bool:
        return b"closed" in self.did


def joined() -> tuple[CoalescedWrites, list[bytes]]:
    transport = Recorded()
    return CoalescedWrites(cast("asyncio.Transport", transport)), transport.did


async def test_writes_of_one_turn_are_one() -> None:
    writes, did = joined()
    writes.write(b"head ")
    writes.write(b"body")
    assert did == []
    await asyncio.sleep(0)
    writes.write(b"next")
    await asyncio.sleep(0)
    assert did == [b"head body", b"next"]


async def test_what_is_held_is_written_before_the_end() -> None:
    writes, did = joined()
    writes.write(b"last")
    writes.close()
    await asyncio.sleep(0)
    assert did == [b"last", b"closed"]


async def test_much_is_not_held_back() -> None:
    writes, did = joined()
    writes.write(b"x" * 40_000)
    writes.write(b"y" * 40_000)
    assert [len(written) for written in did] == [80_000]
    await asyncio.sleep(0)
    assert len(did) == 1


async def test_everything_else_is_the_transports() -> None:
    writes, _ = joined()
    assert writes.is_closing() is False
