"""The jars of Kafka, or of another lock file: fetched once, checked, and kept where all find them.

They come from the first of three places that has them: Maven's own cache on this machine, the
public repository (by `maven-artifact`, side by side), or `mvn`, which knows the mirrors of a
company's network. Whatever the way, only a jar with the SHA-256 of the lock file is kept.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from deploy.errors import CommandError

LOCK_FILE = Path(__file__).with_name("kafka_jars.lock")
_PARALLEL = 8
_TIMEOUT_SECONDS = (10, 60)  # to connect, and between two reads
_MVN_TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Jar:
    """One line of the lock file."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The jar's name in the repository and in our directory."""
        return f"{self.artifact}-{self.version}.jar"

    def is_in(self, directory: Path) -> bool:
        """Whether the directory holds this jar, with the right content."""
        return _has_digest(directory / self.file_name, self.sha256)


def kafka_jars() -> Path:
    """Return the directory of the broker's jars; fetch what is missing.

    Raises:
        CommandError: they could not be had.
    """
    return locked_jars(LOCK_FILE, "Apache Kafka")


def locked_jars(lock_file: Path, what: str) -> Path:
    """Return the directory of the jars of a lock file; fetch what is missing.

    Several processes may ask at once: one fetches, the others wait for it.

    Args:
        lock_file: called `<name>_jars.lock`; the directory is called by that name too.
        what: they are, for whoever waits.

    Raises:
        CommandError: they could not be had.
    """
    lock = lock_file.read_bytes()
    cache = _cache_directory()
    name = lock_file.stem.removesuffix("_jars")
    directory = cache / f"{name}-{hashlib.sha256(lock).hexdigest()[:12]}"
    if directory.is_dir():
        return directory
    with _locked(cache / "fetch.lock"):
        if not directory.is_dir():
            _fill(directory, _parse(lock.decode("utf-8")), what)
    return directory


def _parse(lock: str) -> list[Jar]:
    jars = []
    for line in lock.splitlines():
        if line and not line.startswith("#"):
            coordinates, sha256 = line.split()
            group, artifact, version = coordinates.split(":")
            jars.append(Jar(group, artifact, version, sha256))
    return jars


def _cache_directory() -> Path:
    """Beside the packages of this environment; where that is read-only, the user's cache."""
    candidates = (
        Path(sys.prefix) / "share" / "milestream",
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "milestream",
    )
    for candidate in candidates:
        try:
            candidate.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(candidate, os.W_OK):
            return candidate
    raise CommandError(f"cannot write jars to {candidates[0]} nor to {candidates[1]}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fill(directory: Path, jars: Sequence[Jar], what: str) -> None:
    """Make the directory, whole or not at all."""
    print(f"Fetching {what} ({len(jars)} jars), once …", file=sys.stderr)
    partial = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f"{directory.name}.partial-"))
    try:
        _fetch(jars, partial, what)
        partial.chmod(0o755)
        partial.rename(directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fetch(jars: Sequence[Jar], into: Path, what: str) -> None:
    _copy_from_maven_cache(jars, into)
    trouble = _download(_missing(jars, into), into)
    if _missing(jars, into) and shutil.which("mvn"):
        trouble = _run_mvn(_missing(jars, into), into) or trouble
    missing = _missing(jars, into)
    if missing:
        names = ", ".join(jar.file_name for jar in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        reason = " ".join((trouble or "wrong checksum").split())
        raise CommandError(
            f"could not fetch the jars of {what} ({names}{more}): {reason} - the first start needs "
            "the internet, or `mvn` with a mirror"
        )


def _missing(jars: Sequence[Jar], directory: Path) -> list[Jar]:
    return [jar for jar in jars if not jar.is_in(directory)]


def _has_digest(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _copy_from_maven_cache(jars: Sequence[Jar], into: Path) -> None:
    repository = Path.home() / ".m2" / "repository"
    for jar in jars:
        home = repository.joinpath(*jar.group.split("."), jar.artifact, jar.version)
        if jar.is_in(home):
            shutil.copy(home / jar.file_name, into)


def _download(jars: Sequence[Jar], into: Path) -> str | None:
    """Fetch from the public repository; return what went wrong first, if anything did."""
    from maven_artifact import Artifact, Downloader, RequestException

    downloader = Downloader()

    def fail(uri: str, error: Exception) -> None:
        raise RequestException(f"{uri}: {error}")

    def download(jar: Jar) -> None:
        # The parts of Downloader.download, which itself prints, checks MD5 only and may wait for
        # ever.
        artifact = Artifact(jar.group, jar.artifact, jar.version)
        uri = downloader.resolver.uri_for_artifact(artifact)
        response = downloader.requestor.request(uri, fail, timeout=_TIMEOUT_SECONDS)
        (into / jar.file_name).write_bytes(response.content)

    pool = ThreadPoolExecutor(_PARALLEL)
    try:
        for _ in pool.map(download, jars):
            pass
    except RequestException as error:
        return str(error.msg)
    finally:
        pool.shutdown(cancel_futures=True)
    return None


def _run_mvn(jars: Sequence[Jar], into: Path) -> str | None:
    """Let Maven fetch exactly these jars; return what went wrong, if anything did."""
    alone = (
        "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion>"
        "</exclusions>"
    )
    dependencies = "".join(
        f"<dependency><groupId>{escape(jar.group)}</groupId>"
        f"<artifactId>{escape(jar.artifact)}</artifactId><version>{escape(jar.version)}</version>"
        f"{alone}</dependency>"
        for jar in jars
    )
    pom = (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>milestream</groupId><artifactId>jars</artifactId><version>1</version>"
        f"<dependencies>{dependencies}</dependencies></project>"
    )
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "pom.xml"
        path.write_text(pom, "utf-8")
        command = ["mvn", "-q", "-B", "-f", str(path), "dependency:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={into}"]
        try:
            done = subprocess.run(
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_MVN_TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return f"mvn took more than {_MVN_TIMEOUT_SECONDS} s"
    return None if done.returncode == 0 else f"mvn: {done.stdout[-500:]}{done.stderr[-500:]}"
