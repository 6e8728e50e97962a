"""Asks a running agent over its admin interface, for the command line."""

import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx2
import msgspec

ANSWER_WITHIN_S: Final = 5.0
SIGN_OF_LIFE_WITHIN_S: Final = 20.0  # the agent gives one every 5 s while nothing passes
STATION_WITHIN_S: Final = 100.0  # its turn, and its answer
REPORT_WITHIN_S: Final = 100.0  # a hundred thousand rows from the journal of a busy controller
CUT_HEADER: Final = "Pointsman-Cut"  # as web/reports.py sets it, whose libraries the command line does without
TEST_WITHIN_S: Final = 200.0  # three times the longest `connectTimeout`, and a place to become free
# 401 and 421 say that this is not the agent of that state folder; these, that what was asked cannot be.
_REFUSALS: Final = frozenset({400, 404, 409, 413, 503, 504})


class AgentUnreachable(Exception):
    """No agent answers. The message says where it was looked for."""


class AgentRefused(Exception):
    """The agent answers, and does not do what it was asked. The message says why."""


class Access(msgspec.Struct, frozen=True):
    """Where the admin interface is and the token that opens it (STATE/admin.json). `certificate`: the file of the one
    that it shows, None without TLS."""

    url: str
    token: str
    certificate: str | None = None


def find_access(state: Path, url: str | None) -> Access:
    """Return what the agent wrote into its state folder, with another `url` if one is given.

    Raises AgentUnreachable when no agent runs on `state`, or the file is not readable to us.
    """
    path = state / "admin.json"
    try:
        access = msgspec.json.decode(path.read_bytes(), type=Access)
    except FileNotFoundError:
        why = f"no agent runs on {state}: {path} is not there"
        if url is not None:
            why += "; it holds the token that --admin needs too, so give --state as well"
        raise AgentUnreachable(why) from None
    except (OSError, msgspec.DecodeError) as error:
        raise AgentUnreachable(f"{path}: {error}") from error
    return access if url is None else msgspec.structs.replace(access, url=url.rstrip("/"))


def get_status(access: Access) -> dict[str, Any]:
    """Return the object of `GET /api/status`; raises AgentUnreachable."""
    answer: dict[str, Any] = _request("GET", access, "/api/status").json()
    return answer


def get_station(access: Access, station: str) -> dict[str, Any]:
    """Return all that is known of a station; raises AgentUnreachable, or AgentRefused when there is none."""
    answer: dict[str, Any] = _request("GET", access, f"/api/stations/{quote(station, safe='')}").json()
    return answer


def get_inventory(access: Access) -> list[dict[str, Any]]:
    """Return what the stations say they are; raises AgentUnreachable."""
    rows: list[dict[str, Any]] = _request("GET", access, "/api/inventory").json()
    return rows


def ask_ticket(access: Access) -> str:
    """Return an address of the status page that opens once; raises AgentUnreachable."""
    return f"{access.url}{_request('POST', access, '/api/tickets').json()['path']}"


def ask_reload(access: Access, *, is_retry: bool = False) -> None:
    """Let the agent read its bundle at once, also one in quarantine; raises AgentUnreachable or AgentRefused."""
    _request("POST", access, "/api/reload", {"retry": "true"} if is_retry else None)


def ask_test(access: Access, supervision: str, station: str | None) -> dict[str, Any]:
    """Return the report of a connection test; raises AgentUnreachable, or AgentRefused when there is none to make."""
    path = f"/api/test/{quote(supervision, safe='')}"
    parameters = {} if station is None else {"station": station}
    report: dict[str, Any] = _request("POST", access, path, parameters, within_s=TEST_WITHIN_S).json()
    return report


def ask_station(access: Access, what: str, station: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a station answered to `what` (call, start, stop, reset, unlock); raises AgentUnreachable, or
    AgentRefused when it could not be asked or did not answer."""
    path = f"/api/{what}/{quote(station, safe='')}"
    answer: dict[str, Any] = _request("POST", access, path, body=body, within_s=STATION_WITHIN_S).json()
    return answer


def get_report(access: Access, name: str, since: str | None) -> tuple[list[dict[str, Any]], bool]:
    """Return `transactions` of local groups, `security-events` or `activations`, from `since` on (RFC 3339), oldest
    first, and whether older ones were left out, for they were too many.

    Raises AgentUnreachable or AgentRefused.
    """
    parameters = {} if since is None else {"since": since}
    answer = _request("GET", access, f"/api/{name}", parameters, within_s=REPORT_WITHIN_S)
    rows: list[dict[str, Any]] = answer.json()
    return rows, CUT_HEADER in answer.headers


def follow_tail(access: Access, station: str | None) -> Iterator[dict[str, Any]]:
    """Yield messages as they pass, without end; raises AgentUnreachable, also when the agent ends, or AgentRefused."""
    headers = {"Authorization": f"Bearer {access.token}"}
    parameters = {} if station is None else {"station": station}
    timeout = httpx2.Timeout(ANSWER_WITHIN_S, read=SIGN_OF_LIFE_WITHIN_S)
    try:
        with (
            _client(access, timeout) as client,
            client.stream("GET", access.url + "/api/tail", headers=headers, params=parameters) as answer,
        ):
            if answer.status_code in _REFUSALS:
                answer.read()
                raise AgentRefused(_words_of(answer))
            answer.raise_for_status()
            yield from (json.loads(line) for line in answer.iter_lines() if line)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise AgentUnreachable(f"{access.url}: {error}") from error
    raise AgentUnreachable(f"{access.url}: the agent has ended")


def _request(
    method: str,
    access: Access,
    path: str,
    parameters: Mapping[str, str] | None = None,
    *,
    body: Mapping[str, Any] | None = None,
    within_s: float = ANSWER_WITHIN_S,
) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {access.token}"}
    try:
        with _client(access, within_s) as client:
            answer = client.request(method, access.url + path, headers=headers, params=parameters, json=body)
            if answer.status_code in _REFUSALS:
                raise AgentRefused(_words_of(answer))
            answer.raise_for_status()
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise AgentUnreachable(f"{access.url}: {error}") from error
    return answer


def _client(access: Access, timeout: httpx2.Timeout | float) -> httpx2.Client:
    # trust_env: a proxy of the environment has no business between us and a loopback address
    return httpx2.Client(timeout=timeout, trust_env=False, verify=_trust(access))


def _trust(access: Access) -> ssl.SSLContext | bool:
    """Who is asked must have the very certificate of the state folder, by whatever name it is reached."""
    if access.certificate is None:
        return True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(access.certificate)
    except OSError as error:  # ssl.SSLError is one
        raise AgentUnreachable(f"{access.certificate}: {error}") from error
    return context


def _words_of(answer: httpx2.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"
