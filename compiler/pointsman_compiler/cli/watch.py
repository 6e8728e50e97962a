"""`check --watch`: the tree is looked at again and again; what changed is judged anew, and the whole verdict shown."""

import sys
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pointsman_compiler.cli.outcome import source_failures
from pointsman_compiler.cli.reports import text_report
from pointsman_compiler.cli.trees import open_tree

if TYPE_CHECKING:
    from pointsman_compiler.build import Verdict
    from pointsman_compiler.judging import SiteReport
    from pointsman_compiler.sources import SourceTree
    from pointsman_compiler.stores.folder import Stamp

LOOK_EVERY_S: Final = 0.5
"""Ours to choose: sooner than people look up from their editor."""
IDLE_SHARE: Final = 20
"""Looking takes at most one part in so many of a core: a large tree is looked at less often."""


def watch(root: Path, sites: Sequence[str], at: datetime, jobs: int | None) -> None:
    """Report on each change of the tree until Ctrl-C."""
    open_tree(root, sites)
    watcher = Watcher(root, sites, at, jobs)
    never = threading.Event()
    try:
        while True:
            began = time.monotonic()
            _show(*watcher.look())
            never.wait(max(LOOK_EVERY_S, IDLE_SHARE * (time.monotonic() - began)))
    except KeyboardInterrupt:
        click.echo()


class Watcher:
    """Remembers what each site's check came to, and of which files."""

    def __init__(self, root: Path, sites: Sequence[str], at: datetime, jobs: int | None) -> None:
        self._root = root
        self._sites = sites
        self._at = at
        self._jobs = jobs
        self._stamps: dict[str, Stamp] | None = None
        self._reports: dict[str, SiteReport] = {}

    def look(self) -> "tuple[SourceTree, Verdict | None]":
        """Return the tree, and the verdict over it where a file has changed since the last look."""
        from pointsman_compiler.build import conclude
        from pointsman_compiler.crew import cores, run
        from pointsman_compiler.judging import Judge
        from pointsman_compiler.press import Survey
        from pointsman_compiler.sources import SourceTree
        from pointsman_compiler.stores.folder import Folder

        folder = Folder(self._root)
        tree = SourceTree(folder)
        with source_failures():
            stamps = folder.stamps()
            if stamps == self._stamps:
                return tree, None
            files, names = tree.site_files()
        stale = self._stale(files, stamps)
        for seen in run(Survey(self._root, self._at), stale, self._jobs or cores()):
            self._reports[seen.report.file] = seen.report
        self._reports = {file: self._reports[file] for file in files}
        self._stamps = stamps
        fleet = Judge(tree, self._at).fleet
        return tree, conclude(tree, fleet, names, list(self._reports.values()), self._sites or None)

    def _stale(self, files: Sequence[str], stamps: "dict[str, Stamp]") -> list[str]:
        """The sites to be judged: of files that changed, or with problems, which a file may have mended that is new."""
        from pointsman_compiler.sources import FLEET_FILE

        before = self._stamps or {}
        changed = {file for file in {*before, *stamps} if before.get(file) != stamps.get(file)}
        if FLEET_FILE in changed:
            return list(files)
        return [file for file in files if self._is_touched(file, changed)]

    def _is_touched(self, file: str, changed: set[str]) -> bool:
        report = self._reports.get(file)
        return report is None or bool(report.problems) or file in changed or not changed.isdisjoint(report.files)


def _show(tree: "SourceTree", verdict: "Verdict | None") -> None:
    if verdict is None:
        return
    click.echo(text_report(tree, verdict.problems, sys.stdout), nl=False)
    click.echo(f"{len(verdict.sites)} sites: {verdict.errors} errors, {verdict.warnings} warnings; waiting for changes")
