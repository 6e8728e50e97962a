"""How much may wait to be written to relayed stations and their operators (rule 29)."""

from typing import Final

MOST_WAITING_CHARACTERS: Final = 1024 * 1024  # a socket (rule 29)
MOST_WAITING_IN_ALL: Final = 64 * 1024 * 1024  # the process (rule 29)


class OutputBudget:
    """What all relayed connections of the process may hold together: many slow readers do not add up."""

    def __init__(self, most: int = MOST_WAITING_IN_ALL) -> None:
        self._most = most
        self._held = 0

    def change(self, characters: int) -> bool:
        """Note that so many more (or fewer) are held; False when that is too many."""
        self._held += characters
        return self._held <= self._most
