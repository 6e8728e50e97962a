"""Bearer tokens out of files: what people write behind them is cut, what no header takes is refused unrepeated."""

from pathlib import Path

import pytest
from pointsman_agent.bearer import read_bearer
from pointsman_agent.ports import SecretMissing
from pointsman_agent.secrets import SecretFolder
from pointsman_agent.settings import PushSettings
from structlog.testing import capture_logs
from support.agents import RunningAgent, started
from support.sites import a_config, free_port

WAIT = "reports wait: the metrics store does not take them"
REFUSED = [b"", b"\n", b"hush\nabc", b"hush\x00abc", b"hush abc", b"hush\x7f", "hushé".encode()]


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n", b"\r\n\r\n", b" \t\n"])
def test_white_space_behind_a_token_is_cut(tmp_path: Path, end: bytes) -> None:
    (tmp_path / "token").write_bytes(b"hush" + end)

    assert read_bearer(SecretFolder(tmp_path), "token") == "hush"


@pytest.mark.parametrize("content", REFUSED)
def test_what_no_header_takes_is_refused_and_not_repeated(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)

    with pytest.raises(SecretMissing, match="'token' is no token: it may have visible ASCII") as caught:
        read_bearer(SecretFolder(tmp_path), "token")

    assert "hush" not in str(caught.value)


async def test_an_agent_that_can_push_nothing_serves_stations_and_says_why(tmp_path: Path) -> None:
    agent = RunningAgent(tmp_path, free_port())
    agent.flags = {"push": PushSettings("https://127.0.0.1:9/push", "fleet-token")}
    agent.write(a_config())
    (agent.secrets / "fleet-token").write_bytes(b"hush\nabc\n")
    with capture_logs() as logs:
        async with started(agent):
            await agent.wait_status(lambda status: status["state"] == "running")
            await agent.wait_status(lambda status: WAIT in {entry["event"] for entry in logs})

    (why,) = [entry["why"] for entry in logs if entry["event"] == WAIT]
    assert why.startswith("--push-token: secret ")
    assert "is no token" in why
    assert "hush" not in why
