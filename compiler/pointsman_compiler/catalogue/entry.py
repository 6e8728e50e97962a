"""What the catalogue says of one code."""

from typing import NamedTuple


class Entry(NamedTuple):
    """A code's `title`, its `cause` (why it is a problem at all) and its `remedy` (what to do), as sentences."""

    code: str
    title: str
    cause: str
    remedy: str
