"""The command `pointsman`: reads arguments, the clock and the environment, prints, writes files, and decides nothing.

Heavy modules are imported inside the commands that need them, so that `--help` and shell completion stay quick. Exit
codes: 0 done; 1 the input has problems, or the answer is no; 2 wrong usage; 6 a file failed.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Literal

import click

from pointsman_compiler.wording import nearest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from pointsman_schema.bundle import Bundle

    from pointsman_compiler.build import CheckResult
    from pointsman_compiler.sources import SourceTree

DONE: Final = 0
ANSWER_IS_NO: Final = 1
WRONG_USAGE: Final = 2
FILE_FAILED: Final = 6

WIDEST_REPORT: Final = 100
"""Columns; lines that are longer are hard to read on any terminal."""
PASSPHRASE_VARIABLE: Final = "POINTSMAN_PASSPHRASE"


class Failure(click.ClickException):
    """The input has problems, or the answer is no: one message with its remedy."""

    exit_code = ANSWER_IS_NO

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message on stderr."""
        click.echo(f"error: {self.message}" + (f"\n  help: {self.help}" if self.help else ""), err=True)


class FileFailure(Failure):
    """A file could not be read or written."""

    exit_code = FILE_FAILED


def _instant(context: click.Context, parameter: click.Parameter, text: str | None) -> datetime:
    """A day (its beginning in UTC) or an instant of RFC 3339; without either, this moment."""
    if text is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no time; write 2027-01-31 or 2027-01-31T12:00:00Z") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _print_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from pointsman_compiler.lock import compiler_version

        click.echo(f"pointsman {compiler_version()}")
        context.exit()


_root = click.argument("root", type=click.Path(path_type=Path), default=Path("sites"))
_bundle = click.argument("bundle", type=click.Path(path_type=Path))
_sites = click.option("--site", "sites", metavar="ID", multiple=True, help="Only this site (repeatable).")
_at = click.option("--at", callback=_instant, metavar="TIME", help="Time for expiry dates; default: this moment.")


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="Exit codes: 0 done; 1 the input has problems, or the answer is no; 2 wrong usage; 6 a file failed.",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show it.")
def main() -> None:
    """Check the files of charging sites, and compile each into a signed bundle.

    A site's controller loads the bundle and routes every charging station to its operator.
    """


@main.command(epilog="Example: pointsman check sites --strict")
@_root
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Form of the report.")
@_sites
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@_at
def check(root: Path, form: str, sites: tuple[str, ...], strict: bool, at: datetime) -> None:
    """Check every site below ROOT (default: sites)."""
    tree, result = _checked(root, sites, at)
    if form == "json":
        from pointsman_compiler.report.json import render_json

        click.echo(render_json(result.problems, len(result.sites)), nl=False)
    elif result.problems:
        click.echo(_report(tree, result, sys.stdout), nl=False)
    if result.errors or (strict and result.problems):
        sys.exit(ANSWER_IS_NO)


@main.command("compile", epilog="Example: pointsman compile sites --out out --key release.key")
@_root
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the bundles.")
@click.option("--key", "keys", metavar="FILE", multiple=True, help="Sign with it; env:NAME too (repeatable).")
@click.option("--sequence", type=click.IntRange(0, 2**53 - 1), help="Default: commit time of git's HEAD.")
@click.option("--revision", metavar="TEXT", help="Named in the bundle; default with git's sequence: HEAD.")
@_sites
@_at
@click.option("--all", "write_all", is_flag=True, help="Write bundles that say nothing new as well.")
def compile_(
    root: Path,
    out: Path,
    keys: tuple[str, ...],
    sequence: int | None,
    revision: str | None,
    sites: tuple[str, ...],
    at: datetime,
    write_all: bool,
) -> None:
    """Check the sites below ROOT (default: sites) and write OUT/<site>.bundle.

    A bundle that is there, says the same configuration and has a valid signature is left as it is.
    """
    tree, result = _checked(root, sites, at)
    if result.problems:
        click.echo(_report(tree, result, sys.stderr), nl=False, err=True)
    if result.errors:
        raise Failure("nothing was written", "mend the errors above, or choose sites without any: --site ID")
    private = _private_keys(keys)
    if sequence is None:
        sequence, revision = _from_git(tree, result, revision)
    with _file_failures():
        out.mkdir(parents=True, exist_ok=True)
    from pointsman_compiler.emit import make_bundle

    for site in result.resolved:
        bundle = make_bundle(site, tree, sequence=sequence, revision=revision)
        _write_bundle(out / f"{site.site}.bundle", bundle, private, write_all)


@main.command(epilog="Example: pointsman show out/lyon-part-dieu.bundle")
@_bundle
@click.option("--json", "as_json", is_flag=True, help="The payload as JSON.")
@click.option("--show-badges", is_flag=True, help="Badges too.")
def show(bundle: Path, as_json: bool, show_badges: bool) -> None:
    """Print what is inside BUNDLE; its signatures are not verified."""
    from pointsman_compiler.show import render_bundle, render_payload

    envelope = _read(bundle)
    found = _opened(envelope, bundle)
    if as_json:
        click.echo(render_payload(found, show_badges=show_badges), nl=False)
    else:
        click.echo(render_bundle(found, _signers(envelope), show_badges=show_badges), nl=False)


@main.command(epilog="Example: pointsman verify out/lyon-part-dieu.bundle --trust release.pub")
@_bundle
@click.option("--trust", metavar="FILE", multiple=True, required=True, help="A trusted public key (repeatable).")
@click.option("--site", metavar="ID", help="The site that it must be for.")
def verify(bundle: Path, trust: tuple[str, ...], site: str | None) -> None:
    """Tell whether BUNDLE is signed by a trusted key, whole and of a known format."""
    from pointsman_schema.envelope import EnvelopeError, open_verified

    from pointsman_compiler.keys import read_public_key

    with _key_failures():
        trusted = [read_public_key(file) for file in trust]
    envelope = _read(bundle)
    try:
        payload = open_verified(envelope, trusted)
    except EnvelopeError as error:
        raise Failure(
            f"{bundle}: {error} [{error.reason}]", "name the public key that belongs to its signer"
        ) from error
    found = _payload(payload, bundle)
    if site is not None and found.site != site:
        raise Failure(f"{bundle} is for the site {found.site}, not {site}", "take the bundle of that site")
    click.echo(f"{found.site}: verified, sequence {found.sequence}, {found.config_digest}")


@main.command(epilog="Example: pointsman sign out/lyon-part-dieu.bundle --key release.key")
@_bundle
@click.option("--key", "keys", metavar="FILE", multiple=True, required=True, help="The key; env:NAME too (repeatable).")
def sign(bundle: Path, keys: tuple[str, ...]) -> None:
    """Add a signature to BUNDLE, so that the machine that compiles needs no key."""
    from pointsman_schema.envelope import add_signature

    from pointsman_compiler.writing import replace_file

    envelope = _read(bundle)
    _opened(envelope, bundle)
    for key in _private_keys(keys):
        envelope = add_signature(envelope, key)
    with _file_failures():
        replace_file(bundle, envelope)


@main.command(epilog="Example: pointsman keygen release")
@click.argument("name", type=click.Path(path_type=Path))
@click.option("--passphrase", is_flag=True, help="Ask for a passphrase, and encrypt the private key with it.")
def keygen(name: Path, passphrase: bool) -> None:
    """Make an Ed25519 key pair: NAME.key to sign with, NAME.pub to trust.

    Existing files are never replaced.
    """
    from pointsman_compiler.keys import new_key, write_key

    secret = _ask_new_passphrase() if passphrase else None
    with _file_failures():
        write_key(new_key(secret), name)


@main.command(epilog="Example: pointsman schema site > site.v1.schema.json")
@click.argument("kind", type=click.Choice(["site", "fleet", "bundle"]))
def schema(kind: Literal["site", "fleet", "bundle"]) -> None:
    """Print the JSON Schema of a site's file, of fleet.yaml or of a bundle's payload."""
    from pointsman_schema.schemas import schema_text

    click.echo(schema_text(kind), nl=False)


def _checked(root: Path, sites: Sequence[str], at: datetime) -> "tuple[SourceTree, CheckResult]":
    from pointsman_compiler.build import check as check_tree
    from pointsman_compiler.build import site_id
    from pointsman_compiler.sources import SourceError, SourceTree

    tree = SourceTree(root)
    try:
        known = {site_id(file) for file in tree.site_files()[0]}
    except SourceError as error:
        raise FileFailure(error.message, error.help) from error
    for site in sites:
        if site not in known:
            raise click.UsageError(f"there is no site {site} below {root}{nearest(site, known)}")
    return tree, check_tree(tree, at, sites or None)


def _report(tree: "SourceTree", result: "CheckResult", stream: IO[str]) -> str:
    from pointsman_compiler.report.text import render_text

    width = min(shutil.get_terminal_size((80, 24)).columns, WIDEST_REPORT)
    colour = stream.isatty() and "NO_COLOR" not in os.environ
    return render_text(result.problems, _text_of(tree), width=width, colour=colour)


def _text_of(tree: "SourceTree") -> Callable[[str], str | None]:
    from pointsman_compiler.sources import SourceError

    def text(file: str) -> str | None:
        try:
            return tree.read(file).decode("utf-8-sig", errors="replace")
        except SourceError:
            return None

    return text


def _from_git(tree: "SourceTree", result: "CheckResult", revision: str | None) -> tuple[int, str]:
    from pointsman_compiler.revision import RevisionError, read_head

    inputs = {file for site in result.resolved for file in site.inputs}
    try:
        head = read_head(tree.root, inputs)
    except RevisionError as error:
        raise Failure(str(error), error.help) from error
    return head.committed_s, revision or head.revision


def _write_bundle(path: Path, bundle: "Bundle", keys: "Sequence[Ed25519PrivateKey]", write_all: bool) -> None:
    from pointsman_compiler.emit import BundleTooLarge, emit, is_current
    from pointsman_compiler.writing import replace_file

    with _file_failures():
        old = path.read_bytes() if path.exists() and not write_all else None
    if old is not None and is_current(old, bundle, [key.public_key() for key in keys]):
        return
    try:
        envelope = emit(bundle, keys)
    except BundleTooLarge as error:
        raise Failure(str(error)) from error
    with _file_failures():
        replace_file(path, envelope)


def _private_keys(keys: Sequence[str]) -> "list[Ed25519PrivateKey]":
    from pointsman_compiler.keys import read_private_key

    with _key_failures():
        return [read_private_key(key, os.environ, _ask_passphrase) for key in dict.fromkeys(keys)]


def _ask_passphrase(prompt: str) -> str:
    if PASSPHRASE_VARIABLE in os.environ:
        return os.environ[PASSPHRASE_VARIABLE]
    if not sys.stdin.isatty():
        raise Failure("the key has a passphrase, and there is no terminal to ask on", f"set {PASSPHRASE_VARIABLE}")
    answer: str = click.prompt(prompt, hide_input=True, err=True)
    return answer


def _ask_new_passphrase() -> str:
    if PASSPHRASE_VARIABLE in os.environ:
        return os.environ[PASSPHRASE_VARIABLE]
    answer: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    return answer


def _read(path: Path) -> bytes:
    from pointsman_schema.envelope import LARGEST_ENVELOPE_BYTES

    with _file_failures(), path.open("rb") as opened:
        return opened.read(LARGEST_ENVELOPE_BYTES + 1)


def _opened(envelope: bytes, path: Path) -> "Bundle":
    from pointsman_schema.envelope import EnvelopeError, open_unverified

    try:
        return _payload(open_unverified(envelope), path)
    except EnvelopeError as error:
        raise Failure(f"{path}: {error} [{error.reason}]", "name a file that `pointsman compile` wrote") from error


def _payload(payload: bytes, path: Path) -> "Bundle":
    from pointsman_schema.bundle import BundleFormatError, read_payload

    try:
        return read_payload(payload)
    except BundleFormatError as error:
        raise Failure(f"{path}: {error} [{error.reason}]", "compile it anew, with this version") from error


def _signers(envelope: bytes) -> list[str]:
    import msgspec
    from pointsman_schema.envelope import Envelope

    return [signature.keyid for signature in msgspec.json.decode(envelope, type=Envelope).signatures]


@contextmanager
def _file_failures() -> Iterator[None]:
    """Turns what the disk says into one message."""
    try:
        yield
    except FileExistsError as error:
        help = "choose another name; what is there is never replaced"
        raise FileFailure(f"{error.filename} is there already", help) from error
    except OSError as error:
        raise FileFailure(f"{error.filename}: {error.strerror}", "check the path and its permissions") from error


@contextmanager
def _key_failures() -> Iterator[None]:
    from pointsman_compiler.keys import KeyUnusable

    try:
        yield
    except KeyUnusable as error:
        raise (FileFailure if error.is_file else Failure)(str(error), error.help) from error
