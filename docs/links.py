"""A hook of mkdocs: what a page says of the repository stays text, for there is no file to lead to in the site.

Links inside docs/ stay links, and mkdocs checks them; `tests/test_docs.py` checks all of them in the repository.
"""

import re
from pathlib import PurePosixPath
from typing import Any

_LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)\s]+)\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the page's text; a link that leaves docs/ becomes its words, and the path."""
    depth = len(PurePosixPath(page.file.src_path).parts)

    def shown(link: re.Match[str]) -> str:
        words, target = link.groups()
        steps = target.split("/")
        if steps.count("..") < depth:
            return link[0]
        path = "/".join(step for step in steps if step != "..").partition("#")[0]
        return words if path in words else f"{words} (`{path}`)"

    return _LINK.sub(shown, markdown)
