"""A check of the built pages: none asks another host for anything.

A reader without a network sees all of a page. Links that a reader may follow are not requests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from sphinx.util import logging

logger = logging.getLogger(__name__)

#: What a browser loads by itself, by tag; a link only if it is of one of these relations.
LOADED = {
    "audio": "src", "embed": "src", "iframe": "src", "img": "src", "input": "src", "link": "href",
    "object": "data", "script": "src", "source": "src", "track": "src", "video": "src",
}  # fmt: skip
RELATIONS = {"stylesheet", "icon", "preload", "modulepreload", "prefetch", "preconnect", "manifest"}
#: A style sheet's imports, fonts and pictures.
IN_STYLE = re.compile(r"""(?:@import|url\()\s*["'(]*\s*((?:https?:)?//[^"')\s]+)""")
ELSEWHERE = re.compile(r"(https?:)?//", re.IGNORECASE)


class Requests(HTMLParser):
    """Collects the addresses on other hosts that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one tag."""
        values = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        address = values.get(LOADED.get(tag, ""), "")
        relations = set(values.get("rel", "").lower().split())
        if ELSEWHERE.match(address) and (tag != "link" or relations & RELATIONS):
            self.found.append(address)
        self.found += IN_STYLE.findall(values.get("style", ""))

    def handle_data(self, data: str) -> None:
        """Look at the text of a style."""
        if self._in_style:
            self.found += IN_STYLE.findall(data)


def requests(text: str) -> list[str]:
    """Return what a page of HTML loads from another host."""
    page = Requests()
    page.feed(text)
    return page.found


def requests_of(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file of built pages that loads something from another host, and what it loads."""
    for path in sorted(folder.rglob("*.html")):
        yield from ((path, found) for found in requests(path.read_text(encoding="utf-8")))
    for path in sorted(folder.rglob("*.css")):
        text = path.read_text(encoding="utf-8")
        yield from ((path, found) for found in IN_STYLE.findall(text))


def check(app: object, error: Exception | None) -> None:
    """Warn of every such file when the pages are built; `sphinx -W` ends on a warning."""
    if error is None and app.builder.format == "html":
        for path, found in requests_of(Path(app.outdir)):
            logger.warning("%s loads %s", path.relative_to(app.outdir), found)


def setup(app: object) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
