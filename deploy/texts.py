"""Text files as people's tools write them."""

import codecs

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def decode_text(raw: bytes) -> str:
    """Return a file's text: UTF-8, with or without a byte order mark, or UTF-16 with one.

    Raises:
        UnicodeDecodeError: neither.
    """
    return raw.decode("utf-16" if raw.startswith(_UTF_16) else "utf-8-sig")
