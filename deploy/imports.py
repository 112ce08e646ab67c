"""What makes a command start sooner: imports that are looked through once, and none for a name."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def kept_for_life() -> Iterator[None]:
    """Import in this block what the process needs to its end.

    A hundred thousand objects come with a worker's imports, and next to none of them is garbage. To
    look through them again and again, and once more at the end, is a quarter of a start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def without_aiohttp() -> Iterator[None]:
    """Import Faust in this block without aiohttp, of which it only names a type.

    That is another quarter of a worker's start, for aiohttp reads every certificate authority. A
    worker has no web server of Faust's, nor its HTTP client. Who imports aiohttp later has it.
    """
    name, client = "aiohttp.client", ModuleType("aiohttp.client")
    client.ClientSession = type("ClientSession", (), {})  # type: ignore[attr-defined]
    stands_in = sys.modules.setdefault(name, client) is client
    try:
        yield
    finally:
        if stands_in:
            del sys.modules[name]
