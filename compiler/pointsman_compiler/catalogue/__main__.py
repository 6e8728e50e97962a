"""`python -m pointsman_compiler.catalogue [CASES [PAGE]]`: write docs/problems.md; run it in the repository's root."""

import sys
from pathlib import Path

from pointsman_compiler.catalogue.page import render_page

CASES = Path("tests/compiler/cases")
PAGE = Path("docs/problems.md")


def main(arguments: list[str]) -> None:
    """Write the page, or say where the corpus is looked for."""
    cases, page = (Path(given) for given in (arguments + [str(CASES), str(PAGE)][len(arguments) :])[:2])
    if not cases.is_dir():
        sys.exit(f"there is no folder {cases}: run this in the repository's root, or name the corpus")
    page.write_text(render_page(cases), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
