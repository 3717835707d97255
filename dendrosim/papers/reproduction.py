"""Test every claim and draw every figure of both papers, with the printed numbers."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from dendrosim.errors import DendrosimError
from dendrosim.files import make_folder, replacing
from dendrosim.papers.claims import (
    VERDICTS,
    Checked,
    NotReachableError,
    Paper,
    load_papers,
    unreached,
)
from dendrosim.papers.functions import check, what_is_missing
from dendrosim.papers.workshop import Workshop
from dendrosim.progress import progress_bar
from dendrosim.tables import aligned

COLUMNS = ("paper", "where", "claim", "printed", "found", "unit", "verdict", "because")
LEFT_OUT = "it takes a network that is trained for it, which --quick leaves out"


@dataclass(frozen=True, eq=False)
class Reproduction:
    """The verdicts on all claims, and the figures.

    Attributes
    ----------
    papers
        Paper to its claims with their verdicts.
    figures
        Paper and figure name to its file, or to the reason why there is none.
    folder
        Folder of the files.
    """

    papers: Mapping[str, tuple[Checked, ...]]
    figures: Mapping[tuple[str, str], Path | str]
    folder: Path

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Number of claims with each verdict, per paper."""
        counted = {
            name: Counter(c.verdict for c in checked) for name, checked in self.papers.items()
        }
        return {name: {v: counter[v] for v in VERDICTS} for name, counter in counted.items()}

    def rows(self) -> list[dict[str, str]]:
        """Return one row per claim, with the columns `COLUMNS`."""
        return [
            {
                "paper": name, "where": c.claim.where, "claim": c.claim.says,
                "printed": c.claim.printed, "found": c.found, "unit": c.claim.unit,
                "verdict": c.verdict, "because": c.because,
            }
            for name, checked in self.papers.items() for c in checked
        ]  # fmt: skip

    def text(self) -> str:
        """Return a table as text: position, claim, printed, found, verdict."""
        lines: list[str] = []
        for name, checked in self.papers.items():
            told = ", ".join(f"{n} {verdict}" for verdict, n in self.counts[name].items())
            columns = {
                "where": [c.claim.where for c in checked],
                "claim": [c.claim.id.replace("_", " ") for c in checked],
                "printed": [c.claim.printed or "-" for c in checked],
                "found": [c.found or "-" for c in checked],
                "verdict": [c.verdict for c in checked],
            }
            lines += [f"{name}: {told}", "", *aligned(columns), ""]
        return "\n".join([*lines, f"report, table and figures are in {self.folder}"])

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        drawn = {f"{paper}_{name}": str(path) for (paper, name), path in self.figures.items()}
        return {"counts": self.counts, "claims": self.rows(), "figures": drawn}


def reproduce(
    out: str | os.PathLike, *, paper: str | None = None, full: bool = False, quick: bool = False,
    runs: str | os.PathLike | None = None, progress: bool | None = None,
) -> Reproduction:  # fmt: skip
    """Test every claim and draw every figure of both papers; write the results to a folder.

    Parameters
    ----------
    out
        Folder for ``report.md``, ``claims.csv``, ``claims.json`` and the figures.
    paper
        ``"lstm_lif"`` or ``"lrmm"``; both by default.
    full
        Whether to train four times as long and to draw at a higher resolution.
    quick
        Whether to skip everything that trains networks.
    runs
        Folder with logged training runs; by default ``benchmarks/results`` of the checkout.
    progress
        Whether to show a progress bar; by default only on a terminal.

    Returns
    -------
    Reproduction

    Raises
    ------
    DendrosimError
        If the folder is not writable or there is no such paper.
    """
    papers = load_papers(paper)
    folder = make_folder(out)
    if runs is not None and not Path(runs).is_dir():
        raise DendrosimError(f"{runs}: there is no such folder of training runs")
    shop = Workshop(full, None if runs is None else Path(runs))
    checked: dict[str, list[Checked]] = {one.name: [] for one in papers}
    figures: dict[tuple[str, str], Path | str] = {}
    tasks = list(_tasks(papers, shop, folder, quick, checked, figures))
    with progress_bar(progress, "papers") as tell:
        for done, task in enumerate(tasks):
            task()
            if tell:
                tell((done + 1) / len(tasks))
    found = Reproduction({name: tuple(c) for name, c in checked.items()}, figures, folder)
    _write(found, papers)
    return found


def _tasks(
    papers: Sequence[Paper], shop: Workshop, folder: Path, quick: bool,
    checked: dict[str, list[Checked]], figures: dict[tuple[str, str], Path | str],
) -> Iterator[Any]:  # fmt: skip
    """Yield the tasks to do, as functions without arguments."""
    from dendrosim.figures.style import save_figure
    from dendrosim.papers.drawings import DRAWINGS, QUICK

    def judge(paper: Paper, claim: Any) -> None:
        left_out = quick and claim.slow
        result = unreached(claim, LEFT_OUT) if left_out else check(claim, shop)
        checked[paper.name].append(result)

    def draw(paper: Paper, name: str, drawing: Any) -> None:
        key = (paper.name, name)
        if quick and drawing not in QUICK:
            figures[key] = LEFT_OUT
            return
        path = folder / f"{paper.name}_{name}.png"
        try:
            save_figure(drawing(shop, paper), path)
            figures[key] = path
        except (NotReachableError, DendrosimError) as error:
            figures[key] = what_is_missing(error)

    for paper in papers:
        for claim in paper.claims:
            yield lambda paper=paper, claim=claim: judge(paper, claim)
        for name, drawing in DRAWINGS[paper.name].items():
            yield lambda paper=paper, name=name, drawing=drawing: draw(paper, name, drawing)


def _write(found: Reproduction, papers: Sequence[Paper]) -> None:
    with _file(found.folder / "claims.csv") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(found.rows())
    with _file(found.folder / "claims.json") as file:
        file.write(json.dumps(found.to_json(), indent=1, ensure_ascii=False) + "\n")
    with _file(found.folder / "report.md") as file:
        file.write(_report(found, papers))


@contextmanager
def _file(path: Path) -> Iterator[TextIO]:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield file


def _report(found: Reproduction, papers: Sequence[Paper]) -> str:
    """Return the report as Markdown."""
    lines = ["# What the papers claim, and what comes out here", ""]
    for paper in papers:
        told = ", ".join(f"{n} {v}" for v, n in found.counts[paper.name].items())
        lines += [f"## {paper.title}", "", f"{told}."]
        for one in found.papers[paper.name]:
            if one.claim.section:
                head = ("where", "claim", "printed", "found", "verdict", "because")
                lines += ["", f"### {one.claim.section}", ""]
                lines += [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
            lines.append(_line(one))
        lines += ["", "### Figures", ""]
        for (name, figure), path in found.figures.items():
            if name == paper.name and isinstance(path, Path):
                lines += [f"![{figure.replace('_', ' ')}]({path.name})", ""]
            elif name == paper.name:
                lines += [f"No {figure.replace('_', ' ')}: {path}.", ""]
    return "\n".join(lines)


def _line(one: Checked) -> str:
    """Return a claim as one row of a Markdown table."""
    unit = f" {one.claim.unit}" if one.claim.unit else ""
    numbers = [text and text + unit for text in (one.claim.printed, one.found)]
    cells = [one.claim.where, one.claim.says, *numbers, one.verdict, one.because]
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
