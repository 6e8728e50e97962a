"""The door of the admin interface: who is let in, by which names and tokens, and where it is found."""

import ipaddress
import os
import socket
from dataclasses import dataclass
from typing import Final

import msgspec
import trio
from starlette.types import ASGIApp

from pointsman_agent.settings import Settings
from pointsman_agent.slots import write_durably
from pointsman_agent.web.access import Admission, BrowserSessions, Hosts, Role, Tokens, new_token
from pointsman_agent.web.certificate import AdminCertificate
from pointsman_agent.web.server import authority_of, serve

ADMIN_FILE: Final = "admin.json"


@dataclass(frozen=True, slots=True)
class Door:
    """The bound socket of the admin interface, and what opens it. `certificate` None: it speaks plain HTTP."""

    settings: Settings
    sock: socket.socket
    certificate: AdminCertificate | None
    token: str
    admission: Admission

    async def open(self, root: trio.Nursery, app: ASGIApp, stop: trio.Event) -> None:
        """Serve `app` in `root` until `stop`, and say in the state folder where."""
        access = msgspec.json.encode(self._access())
        context = None
        if self.certificate is not None:
            context = self.certificate.context
            root.start_soon(self.certificate.follow)
        root.start_soon(serve, app, self.sock, stop.wait, context)
        await trio.to_thread.run_sync(write_durably, self.settings.state / ADMIN_FILE, access)

    def _access(self) -> dict[str, object]:
        tls = self.settings.admin_tls
        scheme = "http" if tls is None else "https"
        certificate = None if tls is None else str(tls.certificate.absolute())
        url = f"{scheme}://{_reachable(authority_of(self.sock))}"
        return {"url": url, "token": self.token, "pid": os.getpid(), "certificate": certificate}


def door(settings: Settings, sock: socket.socket, certificate: AdminCertificate | None, read_token: str) -> Door:
    """Return the door, with a new token that operates."""
    token = new_token()
    authority, port = authority_of(sock), sock.getsockname()[1]
    admission = Admission(
        tokens=Tokens({token: Role.OPERATE, read_token: Role.READ}),
        sessions=BrowserSessions(trio.current_time),
        hosts=Hosts(
            [authority, _reachable(authority), "localhost", *settings.admin_names],
            port,
            is_tls=certificate is not None,
            takes_addresses=not ipaddress.ip_address(sock.getsockname()[0]).is_loopback,
        ),
        cookie=f"pointsman-{port}",  # cookies know no ports, and two agents may run on one host
        is_tls=certificate is not None,
    )
    return Door(settings, sock, certificate, token, admission)


def _reachable(authority: str) -> str:
    """Where the command line finds what listens on all addresses."""
    host, _, port = authority.rpartition(":")
    return {"0.0.0.0": f"127.0.0.1:{port}", "[::]": f"[::1]:{port}"}.get(host, authority)
