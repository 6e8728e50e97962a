"""Who is let in to the admin interface of a test."""

import trio
from pointsman_agent.web.access import Admission, BrowserSessions, Hosts, Role, Tokens

OPERATE_TOKEN = "a-token-that-operates"
READ_TOKEN = "a-token-that-reads"
COOKIE = "pointsman-test"


def an_admission(*hosts: str) -> Admission:
    """Return an admission for the two tokens under those Host headers, `name:port`."""
    return Admission(
        tokens=Tokens({OPERATE_TOKEN: Role.OPERATE, READ_TOKEN: Role.READ}),
        sessions=BrowserSessions(trio.current_time),
        hosts=Hosts(hosts, 0),
        cookie=COOKIE,
        is_tls=False,
    )
