"""Files of definitions: what they may look like, and how a fault is named."""

from decimal import Decimal
from pathlib import Path

import pytest

from deploy.apply import ApplyError, Document, read
from schemas.definitions import Challenge, Event

CHALLENGE = "00000000-0000-4000-8000-000000000001"


def documents(tmp_path: Path, text: str, suffix: str = ".yaml") -> list[Document]:
    """Read a file with this text."""
    file = tmp_path / f"definitions{suffix}"
    file.write_text(text)
    return read([file])


def test_yaml_numbers_are_what_is_written(tmp_path: Path) -> None:
    text = f"kind: challenge\nid: {CHALLENGE}\nname: no\ncompletionTargetValue: {{}}"
    for written in ("0.1", "1e3", "12345678901234567890.123456789", "+5", "010"):
        (document,) = documents(tmp_path, text.format(written))
        assert isinstance(document.definition, Challenge)
        assert document.definition.completion_target_value == Decimal(written)
        assert document.definition.name == "no"


@pytest.mark.parametrize("name", [r'"\ud83c\udf89 a"', r'"\U0001F389 a"', '"🎉 a"'])
def test_yaml_texts_may_be_escaped_as_json_escapes_them(tmp_path: Path, name: str) -> None:
    text = f"kind: challenge\nid: {CHALLENGE}\nname: {name}\ncompletionTargetValue: 5"
    (document,) = documents(tmp_path, text)
    assert isinstance(document.definition, Challenge)
    assert document.definition.name == "🎉 a"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "definitions.yaml"
    file.write_bytes("{kind: event, eventId: ä, title: T, reward: {default: 1}}".encode(encoding))
    assert [document.key for document in read([file])] == ["default/event/ä"]
    file = tmp_path / "definitions.json"  # JSON has no such mark, YAML knows one
    text = '{"kind": "event", "eventId": "ä", "title": "T", "reward": {"default": 1}}'
    file.write_bytes(text.encode(encoding))
    assert [document.key for document in read([file])] == ["default/event/ä"]


def test_one_file_may_hold_many_documents_and_lists(tmp_path: Path) -> None:
    event = "{kind: event, eventId: %s, title: T, reward: {default: 1}}"
    text = "---\n---\n" + event % "a" + "\n---\n- " + event % "b" + "\n- " + event % "c"
    assert [d.key for d in documents(tmp_path, text)] == [f"default/event/{i}" for i in "abc"]


def test_json_may_be_one_a_list_or_several(tmp_path: Path) -> None:
    event = '{"kind":"event","id":"%s","project":"acme","title":"T","reward":{"default":0.1}}'
    text = event % "a" + "\n[" + event % "b" + "] " + event % "c"
    for suffix in (".json", ".txt"):
        found = documents(tmp_path, text, suffix)
        assert [d.key for d in found] == [f"acme/event/{i}" for i in "abc"]
        assert isinstance(found[0].definition, Event)
        assert found[0].definition.reward["default"] == Decimal("0.1")


def test_a_projects_settings_are_its_own(tmp_path: Path) -> None:
    (document,) = documents(tmp_path, "{kind: project, id: acme, timezone: Europe/Oslo}")
    assert document.key == "acme/project/acme"
    with pytest.raises(ApplyError, match="document 1: project"):
        documents(tmp_path, "{kind: project, id: acme, project: other}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: chalenge", "document 1: kind"),
        ("name: x", "document 1: kind"),
        ("just text", "document 1: must be a mapping"),
        ("1: 2", "document 1: must be a mapping"),
        (
            "{kind: streak, streakId: s, id: t, eventIds: [a], targetLength: 1}",
            "document 1: streakId",
        ),
        ("{kind: streak, id: s, eventIds: [a], targetLength: 1, project: A B}", "1: project"),
        ("{kind: leaderboard, id: l}\n---\n{kind: leaderboard, id: l}", "2: id: is that of"),
        ("{kind: leaderboard, id: l}\n---\n{kind: leaderboard}", "document 2: id"),
        ("{kind: leaderboard, id: l, id: m}", "twice"),
        ("{kind: [", "is not YAML"),
        ("a: !!python/object:os.system x", "is not YAML"),
        ("{kind: event, id: e, title: T, reward: {default: .nan}}", "1: reward.default"),
    ],
)
def test_a_fault_is_named_with_its_document(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ApplyError) as raised:
        documents(tmp_path, text)
    assert message in str(raised.value)


def test_json_that_is_none_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(ApplyError, match="is not JSON"):
        documents(tmp_path, '{"kind": ', ".json")


def test_a_nan_in_json_is_named_by_its_field(tmp_path: Path) -> None:
    text = '{"kind":"event","id":"e","title":"T","reward":{"default":NaN}}'
    with pytest.raises(ApplyError, match=r"reward\.default"):
        documents(tmp_path, text, ".json")


DIGITS = "9" * 5000


@pytest.mark.parametrize(
    "value",
    [
        *(DIGITS, f"!!int {DIGITS}", "!!int x", "!!int [1]", "!!float x", "!!float .inf"),
        *(f"!!float 1e{DIGITS}", "!!bool x", "!!timestamp x", "!!timestamp 2026-99-99"),
        *("!!set x", "!!map x", "!!map [x]", '"\\U00110000"', f'{{"a": {DIGITS}}}'),
        *(f'{{"a": 1e{DIGITS}}}', "!!binary '*'", "!!omap x", "!!pairs x", "!!seq {a: b}"),
    ],
    ids=lambda value: value[:16],
)
@pytest.mark.parametrize("before", ["", "a: "])
def test_a_value_that_is_none_of_its_type_is_a_fault_of_the_file(
    tmp_path: Path, before: str, value: str
) -> None:
    with pytest.raises(ApplyError) as refused:
        documents(tmp_path, before + value)
    assert len(str(refused.value).splitlines()) <= 2


@pytest.mark.parametrize("value", [DIGITS, f"1e{DIGITS}"], ids=["digits", "exponent"])
def test_a_number_in_json_that_is_too_long_is_a_fault_of_the_file(
    tmp_path: Path, value: str
) -> None:
    with pytest.raises(ApplyError, match="is not JSON: a number has too many digits"):
        documents(tmp_path, f'{{"a": {value}}}', ".json")
