"""How a TransactionEvent that is sent again is told from another one: by what it says.

`seqNo` is to be unique within a transaction, and the id of a transaction within a station (OCPP 2.0.1 part 2, E01), but
stations count both anew after a restart, or not at all. What is answered must be stored, so only the same content is
taken for the same event. `offline` may change on the way: it tells of the sending.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from pointsman_agent.ocpp.frame import FrameError, parse, payload_of


def content_of(payload: Mapping[str, Any], text: str) -> int:
    """Return a digest of 64 bits, signed, of the payload of a TransactionEvent: the same for the same event sent again.

    White space, the order of keys, escapes and the message's id do not count. Where the payload has no plain JSON form
    (half of a surrogate pair), the whole `text` of the message is taken.
    """
    said = {name: value for name, value in payload.items() if name != "offline"}
    try:
        content = msgspec.json.encode(said, order="sorted")
    except (UnicodeEncodeError, RecursionError):
        content = text.encode(errors="surrogatepass")
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big", signed=True)


def content_of_text(text: str) -> int | None:
    """Return the same of a whole message; None where it cannot be read."""
    try:
        return content_of(payload_of(parse(text)), text)
    except FrameError:
        return None
