"""Names compared without regard to case: read models keep them so, and filters look for them so."""

import unicodedata


def caseless(text: str) -> str:
    """Return what two texts have in common that differ in case alone, or in outer blanks.

    Accents count, however they are encoded. No database's locale has a say in it.
    """
    composed = unicodedata.normalize("NFC", text.strip())
    return unicodedata.normalize("NFC", composed.casefold())
