"""Members' fields through sealing and back, and texts that nobody sealed."""

from typing import Any

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas import records, sealing
from schemas.records import PROFILE_FIELDS, OwnedBy, Owner, Profile, RecordError
from tests.spec import ANN

KEY = sealing.new_key()
names = st.none() | st.text(max_size=256).filter(lambda text: "\x00" not in text)
values = st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(max_size=20)
profiles = st.fixed_dictionaries(
    {},
    optional={
        "firstName": names,
        "city": names,
        "email": names,
        "phoneNumber": st.none() | st.from_regex(r"\+[1-9][0-9]{1,14}", fullmatch=True),
        "timezone": st.none() | st.sampled_from(["UTC", "Asia/Tokyo", "America/St_Johns"]),
        "groups": st.none() | st.lists(st.text(min_size=1, max_size=9), max_size=5),
        "attributes": st.none()
        | st.dictionaries(
            st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True), values, max_size=5
        ),
    },
)


def owner_of(fields: dict[str, Any]) -> OwnedBy | None:
    """Return the member with these fields; None where they are not acceptable."""
    try:
        owner = msgspec.json.decode(
            msgspec.json.encode({"externalId": "ann", **fields}), type=OwnedBy
        )
        records.check_profile(owner)
    except (RecordError, msgspec.MsgspecError):
        return None
    return owner


@given(profiles)
def test_what_is_acceptable_in_plain_comes_back_from_sealed_text(fields: dict[str, Any]) -> None:
    owner = owner_of(fields)
    assume(owner is not None and "\\u0000" not in str(msgspec.json.encode(fields)))
    assert owner is not None
    text = sealing.sealed(ANN, owner, KEY)
    assert (text is None) == (not sealing.has_fields(owner)) == (not fields)
    if text is not None:
        records.check_owner(Owner(external_id="ann", sealed=text))
        given_ = {name: getattr(owner, name) for name in PROFILE_FIELDS}
        assert sealing.opened(ANN, text, KEY) == Profile(**given_)


@given(
    st.text(max_size=80) | st.from_regex(r"1\.[A-Za-z0-9_-]{1,32}\.[A-Za-z0-9_-]+", fullmatch=True)
)
def test_no_text_that_nobody_sealed_opens_or_fails(text: str) -> None:
    try:
        records.check_owner(Owner(external_id="ann", sealed=text))
    except RecordError:
        return
    assert sealing.opened(ANN, text, KEY) is None
