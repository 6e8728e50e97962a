"""Pipelines as data, and their `run:` steps as a runner would run them: bash, files for outputs, nothing inherited.

Expressions stand in `env:`, `with:` and `if:` only, never in a script; a test says what the names in them are.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

WITHIN_S: Final = 60.0
_EXPRESSION: Final = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_WORD: Final = re.compile(r"""\s*('[^']*'|"[^"]*"|&&|\|\||[!=]=|[!()]|[\w.$-]+(?:\(\))?)\s*""")
_IN_PYTHON: Final = {"&&": "and", "||": "or", "!": "not", **{same: same for same in ("==", "!=", "(", ")")}}


def load(path: Path) -> Any:
    """Return what a pipeline's file says; `on` is the text that it is, not YAML 1.1's truth."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


def evaluated(expression: str, values: Mapping[str, str | bool]) -> str | bool:
    """Return what an expression of GitHub, or a condition of GitLab, comes to; a name that has no value is a KeyError.

    Only operators that Python has, too, with the same precedence: `&&`, `||`, `==`, `!=`, and `!` before a call.
    """
    assert not _WORD.sub("", expression), f"this is more than names, texts and operators: {expression}"
    words = _WORD.findall(expression)
    python = (_IN_PYTHON.get(word) or (word if word[0] in "'\"" else repr(values[word])) for word in words)
    found: str | bool = eval(" ".join(python), {"__builtins__": {}})  # our own files
    return found


def holds(condition: str, values: Mapping[str, str | bool]) -> bool:
    """Return whether a condition holds, with `${{ }}` around it or not."""
    match = _EXPRESSION.fullmatch(condition.strip())
    return bool(evaluated(match[1] if match else condition, values))


def filled(text: str, values: Mapping[str, str | bool]) -> str:
    """Return `text` with its `${{ }}` replaced by what they come to."""
    return _EXPRESSION.sub(lambda match: str(evaluated(match[1], values)), text)


def steps(job: Any) -> list[dict[str, Any]]:
    """Return the steps of a job."""
    found: list[dict[str, Any]] = job["steps"]
    return found


def is_run(step: Mapping[str, Any], *, has_failed: bool) -> bool:
    """Return whether a job whose installation went well comes to `step`, after another one failed or none did."""
    condition = step.get("if", "success()")
    return "!cancelled()" in condition if has_failed else "failure()" not in condition


@dataclass
class Runner:
    """A job on one machine: a folder that is checked out, and what its steps leave for later ones.

    `expressions` are the values of all names in expressions. `environment` is what the runner itself sets.
    """

    folder: Path
    scratch: Path
    expressions: Mapping[str, str | bool]
    environment: dict[str, str] = field(default_factory=dict)
    path: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)

    def run(self, step: Mapping[str, Any], **extra: str) -> subprocess.CompletedProcess[str]:
        """Run the `run:` of a step."""
        assert "${{" not in step["run"], "an expression in a script is a hole"
        files = {name: self.scratch / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.touch()
        self.ran.append(step["run"])
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.folder,
            env={
                **self.environment,
                **{name: str(file) for name, file in files.items()},
                **{name: self.value(text) for name, text in step.get("env", {}).items()},
                **extra,
                "PATH": os.pathsep.join([*self.path, str(Path(sys.executable).parent), os.environ["PATH"]]),
            },
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        self.path += [line for line in files["GITHUB_PATH"].read_text().splitlines() if line not in self.path]
        return done

    def action(self, action: Any, given: Mapping[str, str]) -> Iterator[subprocess.CompletedProcess[str]]:
        """Run the steps of a composite action with the inputs `given`, up to the first that fails."""
        inputs = {f"inputs.{name}": spec.get("default", "") for name, spec in action["inputs"].items()}
        inputs |= {f"inputs.{name}": value for name, value in given.items()}
        outer = self.expressions
        self.expressions = {**outer, **{name: self.value(value) for name, value in inputs.items()}}
        try:
            for step in action["runs"]["steps"]:
                assert step["shell"] == "bash"
                done = self.run(step)
                yield done
                if done.returncode:
                    return
        finally:
            self.expressions = outer

    def value(self, text: str) -> str:
        """Return `text` with its expressions replaced; a name that the test does not know is a KeyError."""
        return filled(text, self.expressions)

    @property
    def outputs(self) -> dict[str, str]:
        """What steps have put out."""
        lines = (self.scratch / "github_output").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    @property
    def summary(self) -> str:
        """What steps have put into the summary."""
        return (self.scratch / "github_step_summary").read_text()
