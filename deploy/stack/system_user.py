"""Running PostgreSQL when we are root, which it refuses to be.

It then runs as a system user of its own, `milestream`, which is made if it is not there. That
user must be able to reach its files, and a data dir may well lie in a directory closed to others,
such as root's home or a temporary directory. Those directories are not opened to everybody: this
one user gets the right to pass through them, and nothing else, by an access control list entry.
"""

import os
import pwd
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import CommandError

_NAME = "milestream"
_FALLBACK = "nobody"  # where no user can be made

# A POSIX ACL as the kernel stores it (linux/posix_acl_xattr.h): a version, then entries of tag,
# permissions and id, in the order of their tags.
_ACL = "system.posix_acl_access"
_VERSION = struct.pack("<I", 2)
_ENTRY = struct.Struct("<HHI")
_USER_OBJ, _USER, _GROUP_OBJ, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
_NO_ID = 0xFFFFFFFF
_EXECUTE = 1


@dataclass(frozen=True)
class SystemUser:
    """Whom PostgreSQL runs as."""

    name: str
    uid: int
    gid: int

    def can_run(self, program: Path) -> bool:
        """Whether this user can start a program, wherever it lies."""
        try:
            done = subprocess.run(
                [program, "--version"],
                check=False,
                user=self.uid,
                group=self.gid,
                extra_groups=[],
                cwd="/",
                capture_output=True,
            )
        except OSError:
            return False
        return done.returncode == 0

    def own(self, directory: Path) -> None:
        """Give a directory and all that is in it to this user."""
        os.chown(directory, self.uid, self.gid)
        for parent, directories, files in os.walk(directory):
            for name in directories + files:
                os.lchown(Path(parent) / name, self.uid, self.gid)

    def let_pass(self, directory: Path) -> None:
        """Let this user pass through a directory and all above it.

        Raises:
            CommandError: one of them is closed, and its file system has no access control lists.
        """
        if self._may_pass(directory):
            return
        for place in (*reversed(directory.parents), directory):
            if not self._may_pass(place):
                self._grant(place)

    def _may_pass(self, place: Path) -> bool:
        """Ask the kernel, as this user: modes, groups and lists are too many to judge by hand."""
        done = subprocess.run(
            ["/bin/sh", "-c", '[ -x "$1" ]', "sh", place],
            check=False,
            user=self.uid,
            group=self.gid,
            extra_groups=[],
            cwd="/",
        )
        return done.returncode == 0

    def _grant(self, place: Path) -> None:
        entries = [entry for entry in _read_acl(place) if entry[::2] != (_USER, self.uid)]
        entries.append((_USER, _EXECUTE, self.uid))
        if not any(tag == _MASK for tag, _, _ in entries):
            # Without a mask the group's own rights are the limit of all, so they begin it.
            group = next(rights for tag, rights, _ in entries if tag == _GROUP_OBJ)
            entries.append((_MASK, group, _NO_ID))
        entries = [
            (tag, rights | _EXECUTE if tag == _MASK else rights, who)
            for tag, rights, who in entries
        ]
        acl = _VERSION + b"".join(_ENTRY.pack(*entry) for entry in sorted(entries, key=_order))
        try:
            os.setxattr(place, _ACL, acl)
        except OSError as error:
            raise CommandError(
                f"PostgreSQL cannot run as root, and its user {self.name} cannot pass through "
                f"{place} ({error.strerror}): choose a MILESTREAM_DATA_DIR in a directory that "
                "is open to others, or do not run as root"
            ) from error


def _order(entry: tuple[int, int, int]) -> tuple[int, int]:
    tag, _, who = entry
    return tag, who


def _read_acl(place: Path) -> list[tuple[int, int, int]]:
    """The entries of a directory's ACL; where it has none, those that say what its mode says."""
    try:
        data = os.getxattr(place, _ACL)
    except OSError:
        mode = place.stat().st_mode
        return [
            (_USER_OBJ, mode >> 6 & 7, _NO_ID),
            (_GROUP_OBJ, mode >> 3 & 7, _NO_ID),
            (_OTHER, mode & 7, _NO_ID),
        ]
    return list(_ENTRY.iter_unpack(data[len(_VERSION) :]))


def system_user() -> SystemUser | None:
    """Return whom PostgreSQL is to run as: nobody else unless we are root.

    Raises:
        CommandError: we are root, and no user is there nor can be made.
    """
    if os.geteuid() != 0:
        return None
    if _find(_NAME) is None and shutil.which("useradd"):
        command = ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent"]
        # Its failure is not the end: another process may have made the user meanwhile.
        subprocess.run([*command, "--shell", "/bin/false", _NAME], check=False, capture_output=True)
    user = _find(_NAME) or _find(_FALLBACK)
    if user is None:
        raise CommandError("PostgreSQL cannot run as root, and there is no other user to run it as")
    return user


def _find(name: str) -> SystemUser | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return SystemUser(name, entry.pw_uid, entry.pw_gid)
