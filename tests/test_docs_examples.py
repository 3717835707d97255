"""Every code block of docs/*.md is executed, in a folder of its own, in order of the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text()) if kind == language]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in blocks(page, "toml"):
        Path(text.split("\n", 1)[0].removeprefix("# ")).write_text(text)
    names: dict = {}
    for text in blocks(page, "python"):
        exec(compile(text, str(page), "exec"), names)
    if page.stem == "your_own_model":
        assert names["losses"][-1] < 0.6 * names["losses"][0]
        assert names["result"].equal
        code = [line for text in blocks(page, "python") for line in text.splitlines() if line]
        assert len(code) <= 25, "the page promises little code"


def test_there_are_pages():
    assert [page.stem for page in PAGES if blocks(page, "python")]
