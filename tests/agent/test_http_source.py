"""A bundle behind an HTTPS URL: asked cheaply, proven and bounded; a server that fails is asked less and less."""

import gzip
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import chain, pairwise, repeat
from pathlib import Path

import pytest
import trio
import trustme
from pointsman_agent.bundleurl import BundleUrl
from pointsman_agent.secrets import SecretFolder
from pointsman_agent.sources import download as downloading
from pointsman_agent.sources.download import MOST_REDIRECTS, WHOLE_WITHIN_S, DownloadFault, download
from pointsman_agent.sources.http import LONGEST_WAIT_S, HttpSource
from pointsman_schema.envelope import LARGEST_ENVELOPE_BYTES
from support.bundleserver import BundleServer, Headers, answer, bundle_server
from support.sites import replace_file

SEEN_WITHIN_S = 10.0  # milliseconds on an idle machine
SELDOM_S = 3600.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """What the server serves."""
    path = tmp_path / "site.bundle"
    path.write_bytes(b"one")
    return path


def place_of(server: BundleServer, **flags: object) -> BundleUrl:
    return replace(BundleUrl(server.url, trust=server.root, interval_s=SELDOM_S), **flags)  # type: ignore[arg-type]  # fields of BundleUrl


def secrets_of(path: Path, **secrets: bytes) -> SecretFolder:
    for name, content in secrets.items():
        (path.parent / name).write_bytes(content)
    return SecretFolder(path.parent)


async def fault_of(place: BundleUrl, path: Path, within_s: float = WHOLE_WITHIN_S) -> DownloadFault:
    with trio.fail_after(SEEN_WITHIN_S), pytest.raises(DownloadFault) as caught:
        await download(place, secrets_of(path), within_s=within_s)
    assert caught.value.remedy
    return caught.value


# --- One request ------------------------------------------------------------------------------------------------


async def test_an_unchanged_bundle_costs_a_head_and_no_body(path: Path) -> None:
    content = b"x" * 1_000_000
    replace_file(path, content)
    async with bundle_server(path) as server:
        first = await download(place_of(server), secrets_of(path))
        assert first is not None
        before = server.sent_bytes

        assert await download(place_of(server), secrets_of(path), first.etag) is None
        assert first.envelope == content
        assert server.answered == [200, 304]
        assert server.sent_bytes - before < 300


async def test_a_server_that_no_root_proves_is_told_nothing(path: Path) -> None:
    async with bundle_server(path) as server:
        trustme.CA().cert_pem.write_to_path(str(server.root))
        wrong = await fault_of(place_of(server, token="token"), secrets_file(path, "token", b"hush"))
        system = await fault_of(place_of(server, trust=None), path)

        assert (wrong.code, system.code) == ("unreachable", "unreachable")
        assert "tls: certificate: unable to get local issuer" in str(wrong)
        assert server.asked == []


def secrets_file(path: Path, name: str, content: bytes) -> Path:
    (path.parent / name).write_bytes(content)
    return path


async def test_a_certificate_for_another_name_is_refused(path: Path) -> None:
    context, authority = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), trustme.CA()
    authority.issue_cert("config.example").configure_cert(context)
    async with bundle_server(path, context) as server:
        authority.cert_pem.write_to_path(str(server.root))
        fault = await fault_of(place_of(server), path)

    assert "Hostname mismatch" in str(fault)


async def test_a_client_certificate_opens_a_server_that_wants_one(path: Path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    ours = authority.issue_cert("controller.example")
    chain = path.parent / "chain.pem"
    chain.write_bytes(b"".join(pem.bytes() for pem in ours.cert_chain_pems))
    secrets = secrets_of(path, key=ours.private_key_pem.bytes(), other=trustme.CA().private_key_pem.bytes())
    async with bundle_server(path, context) as server:
        authority.cert_pem.write_to_path(str(server.root))
        opened = await download(place_of(server, certificate=chain, key="key"), secrets)
        without = await fault_of(place_of(server), path)
        other = await fault_of(place_of(server, certificate=chain, key="other"), path)
        missing = await fault_of(place_of(server, certificate=chain, key="nowhere"), path)

    assert opened is not None
    assert opened.envelope == b"one"
    assert opened.certificate_expires is not None
    assert (without.code, other.code, missing.code) == ("unreachable", "tls-material", "secret-missing")


async def test_a_token_is_sent_read_anew_each_time_and_never_told(path: Path) -> None:
    def script(headers: Headers) -> bytes:
        return answer(200, {}, b"in") if headers.get("authorization") == "Bearer second" else answer(401)

    async with bundle_server(path) as server:
        server.script = script
        place = place_of(server, token="token")
        fault = await fault_of(place, secrets_file(path, "token", b"first\n"))
        found = await download(place, secrets_of(path, token=b"second\n"))
        torn = await fault_of(place, secrets_file(path, "token", b"se\r\ncond"))

    assert found is not None
    assert found.envelope == b"in"
    assert (fault.code, torn.code) == ("unreadable", "secret-missing")
    assert "HTTP 401" in str(fault)
    assert "--bundle-token" in fault.remedy
    assert "first" not in str(fault)
    assert "cond" not in str(torn)


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        (answer(404), "missing", "HTTP 404"),
        (answer(410), "missing", "HTTP 410"),
        (answer(403), "unreadable", "HTTP 403"),
        (answer(400), "unreadable", "HTTP 400"),
        (answer(204), "unreadable", "HTTP 204"),
        (answer(304), "unreadable", "HTTP 304"),
        (answer(503, {"Retry-After": "7"}), "unreachable", "HTTP 503"),
        (answer(429), "unreachable", "HTTP 429"),
        (answer(200, {"Content-Length": "100"}, b"cut"), "unreachable", "received 3 bytes, expected 100"),
        (answer(200, {"Content-Encoding": "gzip"}, gzip.compress(b"one")), "unreadable", "compressed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "unreachable", ""),
        (answer(302, {"Location": "http://localhost/b"}), "unreadable", "https is not left"),
        (answer(302, {"Location": "http://config.example/b"}), "unreadable", "only https"),
        (answer(302, {"Location": "file:///etc/passwd"}), "unreadable", "redirected to file"),
        (answer(302), "unreadable", "itself"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_no_bundle_is_refused_with_its_code(path: Path, reply: bytes, code: str, words: str) -> None:
    async with bundle_server(path) as server:
        server.script = lambda headers: reply
        fault = await fault_of(place_of(server), path)

    assert fault.code == code
    assert words in str(fault)
    assert fault.retry_after_s == (7.0 if b"Retry-After" in reply else None)


async def test_a_redirect_is_followed_to_another_host_without_what_opens_the_first(path: Path) -> None:
    async with bundle_server(path) as store, bundle_server(path) as server:
        server.script = lambda headers: answer(302, {"Location": f"{store.url}?signature=x"})
        place = place_of(server, token="token")
        found = await download(place, secrets_of(path, token=b"hush"))

    assert found is not None
    assert found.envelope == b"one"
    assert server.asked[0]["authorization"] == "Bearer hush"
    assert "authorization" not in store.asked[0]


async def test_redirects_without_end_are_given_up(path: Path) -> None:
    async with bundle_server(path) as server:
        server.script = lambda headers: answer(302, {"Location": f"/{len(server.asked)}"})
        fault = await fault_of(place_of(server), path)

    assert fault.code == "unreadable"
    assert len(server.asked) == MOST_REDIRECTS + 1


async def test_a_bundle_of_any_size_is_read_no_further_than_the_verdict_needs(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 * LARGEST_ENVELOPE_BYTES)
    async with bundle_server(path) as server:
        found = await download(place_of(server), secrets_of(path))

    assert found is not None
    assert len(found.envelope) == LARGEST_ENVELOPE_BYTES + 1


async def test_a_slow_drip_is_given_up_within_the_bound(path: Path) -> None:
    async with bundle_server(path) as server:
        server.drip_every_s = 0.02
        began = trio.current_time()
        fault = await fault_of(place_of(server), path, within_s=0.3)

    assert fault.code == "unreachable"
    assert "not whole within 0.3 s" in str(fault)
    assert trio.current_time() - began < 5


async def test_a_server_that_takes_connections_and_says_nothing_is_given_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "CONNECT_WITHIN_S", 0.2)
    (mute,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    place = BundleUrl(f"https://localhost:{mute.socket.getsockname()[1]}/b")
    fault = await fault_of(place, path)
    await mute.aclose()
    closed = await fault_of(place, path)

    assert (fault.code, closed.code) == ("unreachable", "unreachable")
    assert "no answer within 0.2 s" in str(fault)
    assert "Connection refused" in str(closed)


# --- Again and again --------------------------------------------------------------------------------------------


class Reader:
    """What a source offered and how it failed."""

    def __init__(self, source: HttpSource) -> None:
        self.source = source
        self.told: list[bytes | str] = []
        self._news = trio.Event()

    async def offer(self, content: bytes) -> None:
        self._note(content)

    async def fail(self, code: str, message: str) -> None:
        self._note(code)

    async def wait(self, count: int) -> list[bytes | str]:
        with trio.fail_after(SEEN_WITHIN_S):
            while len(self.told) < count:
                await self._news.wait()
        return self.told

    def _note(self, item: bytes | str) -> None:
        self.told.append(item)
        self._news.set()
        self._news = trio.Event()


@asynccontextmanager
async def followed(
    place: BundleUrl, path: Path, *, first_wait_s: float = SELDOM_S, on_failure: Callable[[str], None] = lambda _: None
) -> AsyncIterator[Reader]:
    source = HttpSource(place, secrets_of(path), first_wait_s=first_wait_s, chance=lambda: 0.5, on_failure=on_failure)
    reader = Reader(source)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(source.follow, reader.offer, reader.fail)
        yield reader
        nursery.cancel_scope.cancel()


async def test_only_another_bundle_is_offered(path: Path) -> None:
    async with bundle_server(path) as server, followed(place_of(server, interval_s=0.01), path) as reader:
        await server.wait_answered(4)
        replace_file(path, b"two")

        assert await reader.wait(2) == [b"one", b"two"]
        assert server.answered.count(200) == 2


async def test_without_an_etag_the_same_bundle_is_still_offered_once(path: Path) -> None:
    async with bundle_server(path) as server:
        server.script = lambda headers: answer(200, {}, b"same")
        async with followed(place_of(server, interval_s=0.01), path) as reader:
            await server.wait_answered(4)

            assert reader.told == [b"same"]


async def test_a_reload_asks_at_once_and_offers_what_is_unchanged_without_a_transfer(path: Path) -> None:
    async with bundle_server(path) as server, followed(place_of(server), path) as reader:
        for count in (1, 2, 3):
            await reader.wait(count)
            reader.source.reload()
        await reader.wait(4)

        assert reader.told == [b"one"] * 4
        assert server.answered[:3] == [200, 304, 304]


async def test_a_server_that_is_missing_at_the_start_is_told_of_once_and_its_return_is_noticed(path: Path) -> None:
    forgotten: list[str] = []
    async with bundle_server(path) as server:
        server.script = lambda headers: answer(503)
        place = place_of(server, interval_s=0.01)
        async with followed(place, path, first_wait_s=0.01, on_failure=forgotten.append) as reader:
            await server.wait_answered(3)
            assert reader.told == ["unreachable"]
            server.script = None

            assert await reader.wait(2) == ["unreachable", b"one"]
    assert set(forgotten) == {"localhost"}


async def test_a_fault_that_passes_offers_what_came_before_without_a_transfer(path: Path) -> None:
    async with bundle_server(path) as server:
        async with followed(place_of(server, interval_s=0.01), path, first_wait_s=0.01) as reader:
            await reader.wait(1)
            server.script = lambda headers: answer(403)
            await reader.wait(2)
            server.script = None

            assert await reader.wait(3) == [b"one", "unreadable", b"one"]
        assert server.answered.count(200) == 1


async def test_a_server_that_is_away_for_a_moment_is_no_news(path: Path) -> None:
    async with (
        bundle_server(path) as server,
        followed(place_of(server, interval_s=0.01), path, first_wait_s=0.01) as reader,
    ):
        await reader.wait(1)
        server.script = lambda headers: answer(500)
        await server.wait_answered(len(server.answered) + 3)
        server.script = None
        await server.wait_answered(len(server.answered) + 3)

        assert reader.told == [b"one"]


async def test_failures_are_asked_after_less_and_less_and_an_interval_is_jittered(
    path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """The clock is a mock, so the request is one too: it fails at once, then succeeds."""
    times: list[float] = []
    never = trio.Event()

    async def request(*_: object, **__: object) -> downloading.Download:
        times.append(trio.current_time())
        if len(times) <= 14:
            raise DownloadFault("unreachable", "away", "wait")
        return downloading.Download(b"one", None)

    monkeypatch.setattr("pointsman_agent.sources.http.download", request)
    place = BundleUrl("https://config.example/b", interval_s=60)
    chances = chain([0.5] * 14, [0.0, 1.0], repeat(0.5))
    told: list[str] = []

    async def offer(content: bytes) -> None:
        told.append("offer")

    async def fail(code: str, message: str) -> None:
        told.append(code)

    source = HttpSource(place, secrets_of(path), chance=lambda: next(chances))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(source.follow, offer, fail)
        with trio.move_on_after(4 * 3600):
            await never.wait()
        nursery.cancel_scope.cancel()

    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits[:3] == pytest.approx([3.75, 7.5, 15])
    assert waits[12] == pytest.approx(LONGEST_WAIT_S * 0.75)
    assert waits[14:16] == pytest.approx([45, 75])
    assert told == ["unreachable", "offer"]
