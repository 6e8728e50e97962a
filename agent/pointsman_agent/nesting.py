"""How deep JSON may be nested that people have sent to stations. Pure."""

from typing import Final

MOST_LEVELS: Final = 100  # of arrays and objects in a payload; OCPP's own have less than ten


def is_deeper(content: object, levels: int) -> bool:
    """Whether arrays and objects are nested deeper; level by level, for recursion has a bound of its own."""
    level = [content]
    for _ in range(levels + 1):
        inner = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        if not inner:
            return False
        level = [item for items in inner for item in items]
    return True
