"""Every command that docs/ shows, run: in one bash and one folder, page after page, as a reader would go through them.

What stands for the reader:

* the first page begins in an empty folder with the programs on PATH; the others say which page they go on from, and the
  order of `PAGES` is that;
* ports become free ones, and the admin interface takes a free one;
* between blocks a reader pauses for a breath: here until what the block started is there (see `settle`);
* on the page of a whole machine, `/etc/pointsman` and the like become folders of the test, `sudo` is nothing, and
  `systemctl` is a stand-in that starts what the unit says, with its variables and credentials: there is no systemd.

A command that fails fails the test. A block whose title says that it is not run is not, and has to say why.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import trio
import trustme
from pointsman_agent.cli import main as agent_program
from pointsman_agent.client import AgentUnreachable, find_access, get_status
from pointsman_compiler.cli import main as compiler_program
from pointsman_schema.envelope import open_unverified
from pointsman_simulator.cli import main as simulator_program
from support.agents import RunningAgent, running_agent
from support.documented import Shell, a_shell, assert_matches, blocks_of, replaced
from support.sites import SITE, a_config, free_port

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = (
    "tutorial.md",
    "how-to/local-badges.md",
    "how-to/one-supervision.md",
    "how-to/several-supervisions.md",
    "how-to/change-a-url.md",
    "how-to/certificates.md",
    "how-to/troubleshoot.md",
    "how-to/lost-controller.md",
    "how-to/controller.md",
)
IN_A_REPOSITORY = "review.md"
WITH_A_PROMPT = "api.md"
ON_ROLLOUTS = "rollout.md"
WRITTEN_PORTS = ("9000", "9443", "9801", "9802")
SETTLE_WITHIN_S = 20.0
POLL_EVERY_S = 0.05
_ON_ROLLOUTS = {
    " --health https://metrics.example": "",
    "--key env:TARGETS …": "--key env:TARGETS --key env:SNAPSHOT --key env:TIMESTAMP",
    "rsync -a deploy@fleet.example:/srv/rollout/ repository/": "rm -r repository && cp -r served repository",
    "rsync -aI --files-from=- . deploy@fleet.example:/srv/rollout/": "xargs cp --parents -t ../served",
}
PROGRAMS: dict[str, click.Group] = {
    "pointsman": compiler_program,
    "pointsman-agent": agent_program,
    "pointsman-sim": simulator_program,
}

_ON_FAILURE = """set -o pipefail
trap 'echo "FAILED ($?): $BASH_COMMAND"' ERR
"""
_MACHINE = """
sudo() { "$@"; }
systemctl() {
    [ "$*" = "enable --now pointsman-agent" ] || exit 1
    set -a; . "$PWD/etc/agent.env"; set +a
    export CREDENTIALS_DIRECTORY="$PWD/etc/secrets" POINTSMAN_STATE="$PWD/var"
    exec $(sed -n 's/^ExecStart=//p' units/pointsman-agent.service) 2>agent.log
}
mkdir machine; cp out/lyon.bundle release.pub machine/; cd machine
"""
_PLACES = {
    "pointsman-agent init": "pointsman-agent init --config etc --units units",
    "/etc/pointsman": "etc",
    "systemctl enable --now pointsman-agent": "systemctl enable --now pointsman-agent &",
    "pointsman-agent status": "pointsman-agent status --state var",
    "pointsman-agent doctor": "pointsman-agent doctor --state var",
}


def needs(*programs: str) -> pytest.MarkDecorator:
    """Leave a test out where one of the programs that a page uses beside ours is not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def pages_with_commands() -> list[str]:
    return sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if "\n```sh" in path.read_text())


def test_every_page_with_commands_is_run() -> None:
    assert pages_with_commands() == sorted([*PAGES, IN_A_REPOSITORY, ON_ROLLOUTS])
    prompted = sorted(page.name for page in DOCS.rglob("*.md") if "\n```console" in page.read_text())
    assert prompted == [WITH_A_PROMPT, ON_ROLLOUTS]


def test_what_is_not_run_says_why() -> None:
    titles = [title for page in pages_with_commands() for title in re.findall(r"^```sh (.*)$", text_of(page), re.M)]

    assert len(titles) == 7
    assert all(re.fullmatch(r'title="not run by the tests.*: .+"', title) for title in titles)


@needs("openssl", "sqlite3")
@pytest.mark.timeout(170)
async def test_the_pages_do_what_they_say(tmp_path: Path) -> None:
    ports = {written: str(free_port()) for written in WRITTEN_PORTS}
    async with a_shell(tmp_path) as shell:
        await shell.run(_ON_FAILURE)
        for page in PAGES[:-1]:
            await walk(shell, replaced(text_of(page), ports), tmp_path, "state")
        bundle = a_site_of_one_station(tmp_path, ports)
        await shell.run(f"{bundle}\n{_MACHINE}")
        text = text_of(PAGES[-1])
        for written, here in _PLACES.items():
            text = text.replace(written, here)
        await walk(shell, text, tmp_path / "machine", "var")


@needs("git")
async def test_the_page_on_reviews_does_what_it_says(tmp_path: Path) -> None:
    prepared = (
        f"{_ON_FAILURE} cp -r {ROOT / 'sites'} sites; cp -r sites before; cp -r sites after\n"
        "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example\n"
        "git init --quiet --initial-branch main && git add sites && git commit --quiet -m one\n"
        "pointsman plan HEAD sites --format json >plan.json\n"
    )
    async with a_shell(tmp_path) as shell:
        assert await shell.run(prepared) == ""
        for block in blocks_of(text_of(IN_A_REPOSITORY)):
            assert "FAILED" not in await shell.run(block.commands), block.commands
    assert len(list((tmp_path / "bundles").glob("*.bundle"))) == 3


@needs("git")
async def test_the_page_on_rollouts_does_what_it_says(tmp_path: Path) -> None:
    """But for the metrics store, which `make rollout-demo` has, and what only an agent elsewhere can do.

    A folder stands for the web server.
    """
    prepared = (
        f"{_ON_FAILURE} mkdir -p repo/served; cd repo; git init --quiet; cp -r {ROOT / 'sites'} sites; git add sites\n"
        "git -c user.name=a -c user.email=a@example commit --quiet -m one\n"
    )
    exported = "".join(
        f'export {role}="$(cat ../rollout-keys/{role.lower()}.key)"\n' for role in ("TARGETS", "SNAPSHOT", "TIMESTAMP")
    )
    async with a_shell(tmp_path) as shell:
        assert await shell.run(prepared) == ""
        printed = []
        for line in prompted(ON_ROLLOUTS):
            here = line
            for written, instead in _ON_ROLLOUTS.items():
                here = here.replace(written, instead)
            printed.append(await shell.run(f"({here})" if here.startswith("cd ") else here))
            assert "FAILED" not in printed[-1], f"{here}\n{printed[-1]}"
            if here.startswith("cd "):
                await shell.run(exported)
        served = await shell.run("pointsman rollout status sites --repository served")
    assert "root-3.key" in printed[2]
    assert "3 sites moved" in printed[6]
    assert "3 of 3 sites have been offered it" in printed[7]
    assert "halted: calls from Lyon" in printed[-1]
    assert "calls from Lyon" in served


async def test_an_agent_that_others_reach_starts_as_the_page_on_its_interface_says(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("ctl.example")
    certificate.private_key_pem.write_to_path(tmp_path / "admin.key")
    (tmp_path / "admin.pem").write_bytes(certificate.cert_chain_pems[0].bytes())
    agent = RunningAgent(tmp_path, free_port())
    agent.write(a_config())
    flags = f"--bundle {agent.bundle} --site {SITE} --state {agent.state} --allow-unsigned"
    lines = [line for line in prompted(WITH_A_PROMPT) if line.startswith("pointsman-agent run")]
    assert len(lines) == 2
    async with a_shell(tmp_path) as shell:
        for line in lines:
            await shell.run(f"{line.replace('…', flags).replace(':9100', ':0')} 2>agent.log &")
            with trio.fail_after(SETTLE_WITHIN_S):
                while await trio.to_thread.run_sync(sequence_in_force, agent.state) is None:  # noqa: ASYNC110  # not our process
                    await trio.sleep(POLL_EVERY_S)
            assert await shell.run("kill %% && wait %% && echo ended") == "ended\n"


@needs("curl")
async def test_events_are_followed_as_the_page_on_the_interface_says(tmp_path: Path) -> None:
    (line,) = (line for line in prompted(WITH_A_PROMPT) if line.startswith("curl"))
    async with running_agent(tmp_path, a_config()) as agent:
        here = line.replace("/var/lib/pointsman", str(agent.state)).replace("http://127.0.0.1:9100", agent.access.url)
        with trio.fail_after(SETTLE_WITHIN_S):
            async with a_shell(tmp_path) as shell:
                assert (await shell.run(f"{here} 2>curl.log | grep --max-count 1 '^event: '")) != ""


@pytest.mark.parametrize("page", sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")))
def test_commands_within_sentences_and_blocks_exist_with_their_options(page: str) -> None:
    assert list(unknown_commands(text_of(page))) == []


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def prompted(page: str) -> list[str]:
    """Return the commands of blocks with a prompt."""
    blocks = re.findall(r"^```console\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in re.findall(r"^\$ (.*)$", block, re.MULTILINE)]


async def walk(shell: Shell, text: str, folder: Path, state: str) -> None:
    """Run the blocks of a page."""
    for block in blocks_of(text):
        printed = await shell.run(block.commands)
        assert "FAILED" not in printed, f"{block.commands}\n{printed}\n{(folder / 'agent.log').read_text()[-800:]}"
        if block.output is not None:
            assert_matches(printed, block.output)
        await settle(block.commands, folder, state)


def a_site_of_one_station(folder: Path, ports: dict[str, str]) -> str:
    """Return the commands that make the bundle of the page on a whole machine, which has one."""
    site = (
        "{version: 1, site: lyon, timeZone: Europe/Paris, supervision: local, stations: {LYO-01: {}}, "
        f"listeners: {{lan: {{address: 127.0.0.1, port: {ports['9000']}}}}}}}"
    )
    (folder / "one").mkdir()
    (folder / "one" / "lyon.yaml").write_text(site)
    return "pointsman compile one --out out --key release.key --sequence 1"


async def settle(commands: str, folder: Path, state: str) -> None:
    """Wait until what `commands` started is there: a listener, an agent, the bundle that was compiled last."""
    with trio.fail_after(SETTLE_WITHIN_S):
        for port in re.findall(r"^pointsman-sim supervision --port (\d+) .*&$", commands, re.MULTILINE):
            while f":{port}/" not in (folder / "stderr.txt").read_text():  # noqa: ASYNC110  # not our process
                await trio.sleep(POLL_EVERY_S)
        if re.search(r"pointsman-agent (run .*&|reload .*)$|systemctl enable", commands, re.MULTILINE):
            bundle = json.loads(open_unverified(await trio.Path(where_bundle(folder)).read_bytes()))
            while await trio.to_thread.run_sync(sequence_in_force, folder / state) != bundle["sequence"]:  # noqa: ASYNC110  # not our process
                await trio.sleep(POLL_EVERY_S)


def where_bundle(folder: Path) -> Path:
    machine = folder / "etc" / "site.bundle"
    return machine if machine.exists() else folder / "out" / "lyon.bundle"


def sequence_in_force(state: Path) -> int | None:
    try:
        status = get_status(find_access(state, None))
    except AgentUnreachable:
        return None
    active = status["bundle"]["active"]
    return active["sequence"] if active and status["state"] in ("running", "probation") else None


def unknown_commands(text: str) -> Iterator[str]:
    """Yield each command of our programs that is none, or has an option that is none."""
    blocks = re.findall(r"^```(?:sh|console)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    indented = re.findall(r"^    (pointsman.*(?<=\\\\)\n.*|pointsman.*)$", text, re.MULTILINE)
    for line in [*lines, *indented, *re.findall(r"(?<!There is no )`(pointsman[^`]*)`", text)]:
        found = re.search(r"^(?:sudo |until ! )?(pointsman(?:-agent|-sim)?) ([a-z][a-z-]+)(.*)", line, re.DOTALL)
        if found is None:
            continue
        program, name, rest = found.groups()
        command = PROGRAMS[program].commands.get(name)
        if isinstance(command, click.Group):
            name, _, rest = rest.strip().partition(" ")
            command = command.commands.get(name)
        options = {option for each in command.params for option in each.opts} if command else set()
        given = set(re.findall(r"(?<!\S)--[a-z-]+", re.sub(r"\s#.*|[|>].*", "", rest)))
        if command is None or not given <= options:
            yield line
