"""The one form in which names are kept and compared."""

import unicodedata


def unify_name(name: str) -> str:
    """Give a name in Unicode's normal form C; what looks the same and is typed differently is one name.

    Nothing else is changed: neither case nor what only resembles another character.
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)
