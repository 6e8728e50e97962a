"""A check: what was looked at, how it is, what was seen and what to do."""

from dataclasses import dataclass

from pointsman_agent.probing import Verdict


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `remedy` is empty where nothing is to be done."""

    name: str
    verdict: Verdict
    seen: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the object of `doctor --json`."""
        return {"check": self.name, "verdict": self.verdict, "seen": self.seen, "remedy": self.remedy}


def report(checks: list[Check]) -> dict[str, object]:
    """Return the whole of `doctor --json`; `ok` when nothing failed."""
    return {
        "ok": all(check.verdict != "fail" for check in checks),
        "checks": [check.as_json() for check in checks],
    }
