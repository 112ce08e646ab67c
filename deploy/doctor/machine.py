"""Looks at this machine: versions, what was compiled, the disk of the data dir, the master key."""

import platform
import shutil
from importlib import metadata

from deploy.doctor.findings import Finding, ill, well
from processor.domain import fast_path
from schemas.settings import Settings, variable
from schemas.topics import MIB

MIN_FREE = 1024 * MIB
"""Bytes: a worker's store needs room for its compactions."""


async def version(_settings: Settings) -> Finding:
    """Say which versions run here."""
    installed = metadata.version("milestream")
    return well("version", f"Milestream {installed}, Python {platform.python_version()}")


async def compiled(_settings: Settings) -> Finding:
    """Say whether the compiled fast path is used: Python does the same, more slowly."""
    if fast_path.COMPILED is None:
        return well("fast path", f"in Python: {fast_path.UNUSED}; a C compiler makes it fast")
    return well("fast path", "compiled")


async def disk(settings: Settings) -> Finding:
    """Look at the room where workers keep their state."""
    there = settings.data_dir.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    found = f"{free / 1024 / MIB:,.1f} GiB free for {settings.data_dir}"
    if free < MIN_FREE:
        return ill("disk", found, f"make room, or name another directory: {variable('data_dir')}")
    return well("disk", found)


async def master_key(settings: Settings) -> Finding:
    """Look whether there is a master key."""
    if settings.master_key is None:
        return ill(
            "master key",
            "none",
            f"set {variable('master_key')}: tokens, signatures and what is sealed of members need "
            "it; keep it safe",
        )
    return well("master key", "there is one")
