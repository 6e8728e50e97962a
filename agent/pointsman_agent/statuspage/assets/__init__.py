"""Style, script and icon of the pages: the only files that are served, each by its name."""

from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pointsman_agent.web.errors import AdminError
from pointsman_agent.web.gate import ASSETS_PATH

_TYPES: Final = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


def assets_route() -> Route:
    """Return `GET /assets/<name>`."""
    contents = {name: (files(__name__) / name).read_bytes() for name in _TYPES}

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in contents:
            raise AdminError(404, f"no asset {name!r}")
        return Response(contents[name], media_type=_TYPES[name], headers={"Cache-Control": "no-cache"})

    return Route(ASSETS_PATH + "{name}", asset)
