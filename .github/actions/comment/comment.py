"""Puts a plan into the one comment that a pull or merge request has for it, and its risk labels on the request.

    python3 comment.py FOLDER         with plan.md and plan.json in FOLDER

Where these are missing, the comment says that no plan could be made: it must not speak of an older push. Runs in GitHub
Actions (TOKEN, NUMBER) and in GitLab CI (TOKEN), and needs nothing but Python. A comment is known again by the marker
in its first line, where the token's own account wrote it.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

MARKER = "<!-- pointsman-plan -->"
PREFIX = "risk/"
PAGE = 100
MOST_PAGES = 50
WITHIN_S = 30.0
LONGEST = 65_000
NO_PLAN = f"""### No plan could be made of the last push. {MARKER}

Nothing is known of what it would do to which station; the log of its pipeline says why.
"""


class Forge:
    """A forge's interface: where comments are, and how they are written."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.url = url
        self._headers = headers

    def ask(self, method: str, path: str, content: Any = None) -> Any:
        """Return what the forge answers; raises urllib.error.URLError."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if content is None else json.dumps(content).encode(),
            headers={"Content-Type": "application/json", **self._headers},
        )
        with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:
            return json.load(answer)

    def find(self, path: str) -> Any:
        """Return our comment among those at `path`, or None."""
        for page in range(1, MOST_PAGES + 1):
            found = self.ask("GET", f"{path}?per_page={PAGE}&page={page}")
            for comment in found:
                if MARKER in comment["body"].partition("\n")[0] and self.is_ours(comment):
                    return comment
            if len(found) < PAGE:
                break
        return None

    def is_ours(self, comment: Any) -> bool:
        """Return whether the token's account wrote `comment`: anybody can write the marker."""
        raise NotImplementedError


class GitHub(Forge):
    """https://docs.github.com/rest/issues/comments"""

    def __init__(self, environment: "os._Environ[str]") -> None:
        repository = environment["GITHUB_REPOSITORY"]
        super().__init__(
            f"{environment['GITHUB_API_URL']}/repos/{repository}/issues",
            {"Authorization": f"Bearer {environment['TOKEN']}", "Accept": "application/vnd.github+json"},
        )
        self._number = int(environment["NUMBER"])

    def is_ours(self, comment: Any) -> bool:
        return bool(comment["user"]["type"] == "Bot")

    def comment(self, text: str) -> None:
        """Write `text` into our comment, or into a new one."""
        old = self.find(f"/{self._number}/comments")
        if old is None:
            self.ask("POST", f"/{self._number}/comments", {"body": text})
        elif old["body"] != text:
            self.ask("PATCH", f"/comments/{old['id']}", {"body": text})

    def label(self, risks: list[str]) -> None:
        """Put `risks` on the pull request, and take other risks off."""
        names = [label["name"] for label in self.ask("GET", f"/{self._number}/labels?per_page={PAGE}")]
        wanted = [name for name in names if not name.startswith(PREFIX)] + risks
        if sorted(wanted) != sorted(names):
            self.ask("PUT", f"/{self._number}/labels", {"labels": wanted})


class GitLab(Forge):
    """https://docs.gitlab.com/api/notes/#merge-requests"""

    def __init__(self, environment: "os._Environ[str]") -> None:
        project, number = environment["CI_PROJECT_ID"], int(environment["CI_MERGE_REQUEST_IID"])
        super().__init__(
            f"{environment['CI_API_V4_URL']}/projects/{project}/merge_requests/{number}",
            {"PRIVATE-TOKEN": environment["TOKEN"]},
        )
        self._user = self._who(environment["CI_API_V4_URL"])

    def is_ours(self, comment: Any) -> bool:
        return bool(comment["author"]["id"] == self._user)

    def comment(self, text: str) -> None:
        """Write `text` into our note, or into a new one."""
        old = self.find("/notes")
        if old is None:
            self.ask("POST", "/notes", {"body": text})
        elif old["body"] != text:
            self.ask("PUT", f"/notes/{old['id']}", {"body": text})

    def label(self, risks: list[str]) -> None:
        """Put `risks` on the merge request, and take other risks off."""
        names = self.ask("GET", "")["labels"]
        old = [name for name in names if name.startswith(PREFIX) and name not in risks]
        if old or not set(risks) <= set(names):
            changes = {"add_labels": risks, "remove_labels": old}
            self.ask("PUT", "", {name: ",".join(labels) for name, labels in changes.items() if labels})

    def _who(self, api: str) -> int:
        whole, self.url = self.url, api
        user = self.ask("GET", "/user")["id"]
        self.url = whole
        return int(user)


def main(folder: Path) -> None:
    """Write the comment and set the labels."""
    text, risks = NO_PLAN, list[str]()
    if (folder / "plan.json").is_file():
        text = (folder / "plan.md").read_text(encoding="utf-8")[:LONGEST]
        risks = [str(risk) for risk in json.loads((folder / "plan.json").read_text(encoding="utf-8"))["risks"]]
    try:
        forge = GitLab(os.environ) if "GITLAB_CI" in os.environ else GitHub(os.environ)
        forge.comment(text)
        forge.label(risks)
    except urllib.error.URLError as error:
        sys.exit(f"comment.py: the forge says: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
