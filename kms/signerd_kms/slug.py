"""Slugs: what a name looks like in a path."""

import re

_OTHER = re.compile(r"[^a-z0-9]+")


def make_slug(name: str) -> str:
    """Turn a name into its slug: lower case, runs of other characters become a hyphen, trimmed.

    Returns:
        ASCII letters, digits and single hyphens; empty if the name has neither letter nor digit of ASCII.
    """
    return _OTHER.sub("-", name.lower()).strip("-")
