"""Names compared without regard to case: read models keep them so, and filters look for them so."""

import unicodedata

LONGEST = 520
"""A first and a last name of 256 characters fit, with the blank between them."""


def caseless(text: str) -> str:
    """Return what two texts have in common that differ in case alone, or in outer blanks.

    Accents count, however they are encoded. No database's locale has a say in it. A text that is
    longer than any name is left as it is: to bring accents into order takes the square of their
    number.
    """
    if len(text) > LONGEST:
        return text
    composed = unicodedata.normalize("NFC", text.strip())
    return unicodedata.normalize("NFC", composed.casefold())
