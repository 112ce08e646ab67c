"""What the commands say of wrong input, and where no server answers: one sentence, no traceback."""

import io
import os
import shlex
import sys
from pathlib import Path

import pytest

from deploy.cli import main
from tests.unit.deploy.test_examples import LEAVES

CHALLENGE = "7f9c4a52-3d0e-4b51-9d57-0a6f5a0c1e01"
GOOD = f"kind: challenge\nid: {CHALLENGE}\nname: Spend\ncompletionTargetValue: 5\n"
FILES: dict[str, bytes] = {
    "good.yaml": GOOD.encode(),
    "empty.yaml": b"# nothing yet\n",
    "bad.yaml": b"kind: challenge\nid: [unclosed\n",
    "bad.json": b'{"kind": ',
    "no_kind.yaml": b"id: x\n",
    "no_number.yaml": GOOD.replace(": 5", ": many").encode(),
    "no_text.yaml": b"\xff\xfe\x00\x01\x80",
    "good.ndjson": b'{"type":"upsert-member","userId":"joe"}\n',
    "bad.gz.ndjson": b"nonsense\n",
    "key.pem": b"hello\n",
    "no_text.pem": b"\xff\x00\x80",
}
KAFKA_AWAY = (
    "no Kafka broker answers at 127.0.0.1:1 (Connect call failed ('127.0.0.1', 1)): start it, or "
    "correct MILESTREAM_KAFKA"
)
DATABASE_AWAY = "Connection refused; start it, or correct MILESTREAM_DATABASE_URL"
PROJECT = "must match [a-z0-9]"

LONG = "x" * 300
USAGE = {
    "frobnicate": "No such command 'frobnicate'",
    "applyy": "Did you mean 'apply'",
    "keys frob": "No such command 'frob'",
    "verify --frob": "No such option: --frob",
    "apply": "Missing option '--file'",
    "apply -f missing.yaml": "there is no file missing.yaml",
    "apply -f good.yaml -f missing.yaml": "there is no file missing.yaml",
    "apply -f .": ". is a directory",
    f"apply -f {LONG}": f"{LONG} cannot be opened: File name too long",
    "apply -f good.yaml --actor ''": "--actor: must have 1 to 128",
    "import": "Missing argument",
    "import frob good.ndjson": "TOPIC: must be one of challenge-logs",
    "import events missing.ndjson": "FILE: there is no file missing.ndjson",
    "import events .": "FILE: . is a directory",
    f"import events {LONG}": f"FILE: {LONG} cannot be opened: File name too long",
    "import events good.yaml": "--format: cannot be guessed",
    "import events good.ndjson --project 'A B'": PROJECT,
    "keys create --project p --role king": "'king' is not one of",
    "keys create --project 'A B' --role admin": PROJECT,
    "keys rotate --project p --key k --until yesterday": "--until': must be an RFC 3339 time",
    "keys jwt-secret --project p --until 2026-12-01T00:00:00Z": "--until: goes with --rotate",
    "keys jwt-public --project p --file missing.pem": "'missing.pem' does not exist",
    "keys jwt-public --project p --file .": "'.' is a directory",
    "analysts create --project 'A B'": PROJECT,
    "dead-letters list --project 'A B'": PROJECT,
    "dead-letters redrive --project 'A B'": PROJECT,
    "dead-letters redrive --reason frob": "'frob' is not one of",
    "rebuild frob": "there is no read model frob",
    "recalculate": "give -f FILE, --challenge or --cancel",
    "recalculate --challenge x": "--challenge: must be a UUID",
    "recalculate --cancel x": "--cancel: must be a UUID",
    "recalculate -f missing.yaml": "there is no file missing.yaml",
    "recalculate -f .": ". is a directory",
    f"recalculate -f {LONG}": f"{LONG} cannot be opened: File name too long",
    f"recalculate --cancel {CHALLENGE} --apply --since 2026-01-01T00:00:00Z": "--cancel: goes "
    "without --since, --apply",
    f"recalculate --cancel {CHALLENGE} --mode exact --actor me": "goes without --mode, --actor",
    f"recalculate --cancel {CHALLENGE} --max-points 1 --max-rewards 1": "without --max-points, "
    "--max-rewards",
    "simulate -f good.yaml": "give --input FILE or --from-topics",
    "simulate -f missing.yaml --input good.ndjson": "there is no file missing.yaml",
    "simulate -f . --input good.ndjson": ". is a directory",
    "simulate -f good.yaml --input missing.ndjson": "there is no file missing.ndjson",
    "simulate -f good.yaml --input .": ". is a directory",
    "export --project p --to good.yaml": "--to: is a file, not a directory",
    "export --project p --to out --since now": "--since': must be an RFC 3339 time",
    "export-member --project p --user ''": "--user': must have 1 to 256 characters",
}
FAILED = {
    "apply -f empty.yaml": "there is no definition in empty.yaml",
    "apply -f bad.yaml": "bad.yaml is not YAML: line 3, column 1: expected ',' or ']'",
    "apply -f bad.json": "bad.json is not JSON: line 1, column 10: Expecting value",
    "apply -f no_text.yaml": "cannot read no_text.yaml: it is no text in UTF-8 or UTF-16",
    "simulate -f bad.yaml --input good.ndjson": "bad.yaml is not YAML: line 3, column 1",
    "keys jwt-public --project p --file no_text.pem": "no_text.pem is not a public key in PEM",
}
KAFKA = (
    "topics create",
    "topics list",
    "apply -f good.yaml",
    "keys token --project p --user u --hours 1000",
    "import member-commands good.ndjson",
    "dead-letters list",
    "dead-letters redrive",
    "simulate -f good.yaml --from-topics",
    "simulate -f good.yaml --input good.ndjson",
    "export-member --project p --user u",
    "forget-member --project p --user u",
    "verify",
    "demo-traffic",
)
DATABASE = (
    "api",
    "migrate",
    "keys create --project p --role admin",
    "keys list --project p",
    "keys revoke --project p --key k",
    "keys rotate --project p --key k",
    "keys link --project p --key k",
    "keys jwt-secret --project p",
    "keys token --project p --user u",
    "keys jwt-public --project p --file key.pem",
    "analysts create --project p",
    "analysts list --project p",
    "analysts revoke --project p --user u",
    "rebuild members",
    f"recalculate --challenge {CHALLENGE}",
    f"recalculate --cancel {CHALLENGE}",
    "export --project p --to out",
)
SETTINGS = {
    "KAFKA=nonsense": "'nonsense' is not host:port",
    "KAFKA=a..b:9092": "'a..b' is no name of a host",
    "DATABASE_URL=postgresql://u:hidden@a..b/x": "'a..b' is no name of a host",
    "API_HOST=a..b": "'a..b' is no name of a host",
    "METRICS_HOST=a..b": "'a..b' is no name of a host",
    "DATABASE_URL=mysql://u:hidden@x": "must be a URL like postgresql://",
    "PARTITIONS=many": "valid integer",
    "MASTER_KEY=short": "must be base64",
    "API_PORT=99999": "less than or equal to 65535",
}


@pytest.fixture(autouse=True)
def _nothing_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("MILESTREAM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MILESTREAM_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("MILESTREAM_DATABASE_URL", "postgresql://u:hidden@127.0.0.1:1/x")
    monkeypatch.setenv("COLUMNS", "400")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> "Said":
    return Said(monkeypatch, capsys)


class Said:
    """What a command says on stderr, and its exit code."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def of(self, typed: str) -> tuple[object, list[str]]:
        """Run a command; return its exit code and the lines that it printed on stderr."""
        self._monkeypatch.setattr(sys, "argv", ["milestream", *shlex.split(typed)])
        with pytest.raises(SystemExit) as ended:
            main()
        found = self._capsys.readouterr()
        assert found.out == ""
        assert "hidden" not in found.err
        return ended.value.code, found.err.splitlines()


@pytest.mark.parametrize("typed", USAGE)
def test_wrong_usage_names_what_is_wrong(said: Said, typed: str) -> None:
    code, lines = said.of(typed)
    assert code == 2
    assert USAGE[typed] in " ".join(lines)


@pytest.mark.parametrize(
    "typed",
    [
        "apply -f closed",
        "recalculate -f closed",
        "simulate -f closed --input good.ndjson",
        "simulate -f good.yaml --input closed",
        "import events closed",
        "keys jwt-public --project p --file closed",
    ],
)
def test_a_file_that_may_not_be_read_is_wrong_usage(
    said: Said, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    Path("closed").write_bytes(b"")
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path).name != "closed")
    code, lines = said.of(typed)
    assert code == 2
    assert "is not readable" in " ".join(lines)


@pytest.mark.parametrize("typed", FAILED)
def test_a_bad_file_is_named_in_one_sentence(said: Said, typed: str) -> None:
    code, lines = said.of(typed)
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith(f"milestream: {FAILED[typed]}")


@pytest.mark.parametrize("typed", ["apply -f -", "recalculate -f -", "simulate -f - --from-topics"])
def test_stdin_is_a_file(said: Said, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(FILES["empty.yaml"])))
    assert said.of(typed) == (1, ["milestream: there is no definition in -"])


@pytest.mark.parametrize(
    ("name", "fault"),
    [("no_kind", "kind: must be one of"), ("no_number", "completionTargetValue: must be a number")],
)
def test_a_bad_document_has_a_line_for_each_fault(said: Said, name: str, fault: str) -> None:
    code, (first, second) = said.of(f"apply -f {name}.yaml")
    assert (code, first) == (1, "milestream: nothing was written:")
    assert second.startswith(f"{name}.yaml, document 1: {fault}")


@pytest.mark.parametrize("typed", KAFKA)
def test_a_broker_that_is_away_is_said_in_one_sentence(said: Said, typed: str) -> None:
    assert said.of(typed) == (1, [f"milestream: {KAFKA_AWAY}"])


@pytest.mark.parametrize("typed", DATABASE)
def test_a_database_that_is_away_is_said_in_one_sentence(said: Said, typed: str) -> None:
    code, lines = said.of(typed)
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith("milestream: the database does not answer: ")
    assert lines[0].endswith(DATABASE_AWAY)


@pytest.mark.parametrize("given", SETTINGS)
def test_a_bad_setting_is_named(said: Said, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    name, value = given.split("=", 1)
    monkeypatch.setenv(f"MILESTREAM_{name}", value)
    code, lines = said.of("topics list")
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith(f"milestream: MILESTREAM_{name}: ")
    assert SETTINGS[given] in lines[0]


def test_every_command_is_asked_without_its_servers() -> None:
    asked = {name for name in LEAVES for typed in (*KAFKA, *DATABASE) if typed.startswith(name)}
    # `up` brings its own; a projector waits for them; integration tests have workers and `doctor`.
    assert set(LEAVES) - asked == {"up", "projector", "worker", "doctor"}
