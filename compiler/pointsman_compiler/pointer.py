"""A path into a document: keys and list positions, and its written form, a JSON pointer (RFC 6901)."""

Path = tuple[str | int, ...]


def pointer_of(path: Path) -> str:
    """Return `path` as a JSON pointer; the whole document is the empty text."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)
