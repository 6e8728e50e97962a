"""The templates of the status page, and what they are given. The only jinja2 of the agent; it escapes what it shows."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined
from pointsman_schema.timezones import zone

from pointsman_agent.clockoffset import read_rfc3339
from pointsman_agent.statuspage import routemap

Row = Mapping[str, Any]

SOON_DAYS: Final = 30
"""A certificate that ends sooner is shown as trouble."""


class Parts(Protocol):
    """The macros of parts.html: each returns what stands in one element of a page."""

    def headline(self, status: Row) -> str: ...
    def notices(self, status: Row, look: "Look") -> str: ...
    def map(self, drawing: routemap.Drawing) -> str: ...
    def map_words(self, drawing: routemap.Drawing) -> str: ...
    def supervisions(self, status: Row, look: "Look") -> str: ...
    def bundle(self, status: Row, look: "Look") -> str: ...
    def station_rows(self, stations: list[Row], look: "Look") -> str: ...
    def station_cells(self, row: Row, look: "Look") -> str: ...
    def facts(self, row: Row, look: "Look") -> str: ...
    def inventory(self, row: Row, look: "Look") -> str: ...
    def messages(self, capture: object, look: "Look") -> str: ...


class Look:
    """How moments are shown: in the site's time zone, beside this moment."""

    def __init__(self, time_zone: str, now: datetime) -> None:
        self.time_zone = time_zone
        self._zone = zone(time_zone)
        self._now = now

    def moment(self, text: str | None) -> str:
        """An RFC 3339 time as date and time of the site; the text itself where it is none, a dash for None."""
        found = None if text is None else read_rfc3339(text)
        if found is None:
            return text or "–"
        return f"{found.astimezone(self._zone):%Y-%m-%d %H:%M:%S}"

    def clock(self, text: str) -> str:
        """As `moment`, without the date, with milliseconds."""
        found = read_rfc3339(text)
        if found is None:
            return text
        local = found.astimezone(self._zone)
        return f"{local:%H:%M:%S}.{local.microsecond // 1000:03d}"

    def offset(self, seconds: float) -> str:
        """A clock's difference with its sign, in whole seconds, for OCPP tells no parts of them."""
        whole = round(seconds)
        return "0 s" if whole == 0 else f"{whole:+d} s"

    def days_until(self, text: str) -> int | None:
        """Whole days from this moment to an RFC 3339 time."""
        found = read_rfc3339(text)
        return None if found is None else (found - self._now).days


def station_state(row: Row) -> str:
    """`up`, `cut` where the operator is not there, or `down`."""
    if not row["connected"]:
        return "down"
    return "up" if routemap.is_whole(row) else "cut"


class Renderer:
    """Renders pages, and the parts of them that change. Takes milliseconds for a large site: for a thread."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("pointsman_agent.statuspage"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["station_state"] = station_state
        self._environment.globals["SOON_DAYS"] = SOON_DAYS

    def page(self, name: str, **content: object) -> str:
        """Return a whole page."""
        return self._environment.get_template(name).render(content)

    @property
    def parts(self) -> Parts:
        """The parts."""
        parts: Parts = self._environment.get_template("parts.html").module  # type: ignore[assignment]  # its macros
        return parts
