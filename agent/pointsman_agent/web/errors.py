"""A request of the admin interface that is refused: the HTTP status and the words that it gets."""


class AdminError(Exception):
    """What was asked is not to be had. `status` is the HTTP status; the message says why and what to do; after
    `retry_after_s` it may be, where that is known."""

    def __init__(self, status: int, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


def no_such_station(name: str) -> AdminError:
    """Return the refusal of what is asked of a station that the bundle in force does not have."""
    return AdminError(404, f"no station {name!r} in the bundle in force")
