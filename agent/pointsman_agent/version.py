"""The agent's own version."""

from importlib.metadata import version
from typing import Final

VERSION: Final = version("pointsman-agent")
