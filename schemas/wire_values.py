"""What JSON says in more ways than we keep it: times finer than we count, and null for nothing.

Both are rare, so both are looked at where a decoder would go wrong alone: it rounds a fraction, and
it refuses null. Only fields of the record itself, and of the objects in it that we define, are
touched; what others named (metadata, identifiers) stays as it is.
"""

import re
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Raw

_FINE = re.compile(rb":[0-9]{2}\.[0-9]{7}")
"""A time finer than a microsecond, maybe."""
_FINER = re.compile(rb"(:[0-9]{2}\.[0-9]{6})[0-9]+")
_TIMES = frozenset({"activityAt", "occurredAt", "rewardIssuedAt", "rewardExpiryAt"})

_NOT_NULL = frozenset(
    {"project", "status", "withApiKey", "byEndUser", "mustExist", "virtual", "distance"}
)
"""The optional fields whose type has no null. For the others their type says what null means."""
_WITHIN = frozenset({"fulfilment", "checkin"})

_FIELDS = msgspec.json.Decoder(dict[str, Raw])

Change = Callable[[dict[str, Raw]], dict[str, Raw]]


def cut_fractions(raw: bytes) -> bytes:
    """Return a record's JSON with its times cut off after the microsecond, never rounded: what
    happened at 23:59:59.9999999 happened on that day."""
    return raw if _FINE.search(raw) is None else _changed(raw, _cut)


def cut_fraction(text: str) -> str:
    """Return the text of a time, cut off after the microsecond."""
    return _FINER.sub(rb"\1", text.encode(errors="replace")).decode() if "." in text else text


def without_nulls(raw: bytes) -> bytes:
    """Return a record's JSON without optional fields that are null and whose type has none."""
    return raw if b"null" not in raw else _changed(raw, _dropped)


def _changed(raw: bytes, change: Change) -> bytes:
    try:
        fields = _FIELDS.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return raw  # it is no JSON object, which the record's own decoder will say
    return msgspec.json.encode(change(fields))


def _cut(fields: dict[str, Raw]) -> dict[str, Raw]:
    cut = {name: Raw(_FINER.sub(rb"\1", bytes(fields[name]))) for name in fields.keys() & _TIMES}
    return {**fields, **cut}


def _dropped(fields: Mapping[str, Raw]) -> dict[str, Raw]:
    kept = {}
    for name, value in fields.items():
        is_null = bytes(value).strip() == b"null"
        if name in _WITHIN and not is_null:
            kept[name] = Raw(_changed(bytes(value), _dropped))
        elif not (is_null and (name in _NOT_NULL or name == "fulfilment")):
            kept[name] = value
    return kept
