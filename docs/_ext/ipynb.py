"""The notebooks as Jupyter has them, with their outputs: `make notebooks`.

The source of each notebook is its text, `notebooks/*.md`.  This writes `notebooks/*.ipynb` beside
it, executed, so that its figures show where people browse the repository.  With ``--text`` no
code runs: only the text is renewed, and outputs are kept.
"""

from __future__ import annotations

import base64
import io
import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from myst_nb.core.read import read_myst_markdown_notebook
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
#: A figure is no wider than this, and has so many colours: about 90 dpi and 30 kB.
WIDTH, PALETTE = 900, 64


def converted(text: str) -> nbformat.NotebookNode:
    """Return a notebook without outputs, from its text."""
    notebook = read_myst_markdown_notebook(text)
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    for k, cell in enumerate(notebook.cells):
        cell.id = f"cell-{k}"
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\]\((\w+)\.md\)", r"](\1.ipynb)", cell.source)
    return notebook


def code(notebook: nbformat.NotebookNode) -> list[str]:
    """Return the source of each cell of code."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def execute(notebook: nbformat.NotebookNode) -> None:
    """Run a notebook in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(
            notebook, timeout=900, record_timing=False, resources={"metadata": {"path": folder}}
        ).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = smaller(data["image/png"])


def smaller(png: str) -> str:
    """Return a figure with fewer pixels and colours, both in base64."""
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    if image.width > WIDTH:
        size = WIDTH, round(image.height * WIDTH / image.width)
        image = image.resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.quantize(PALETTE, dither=Image.Dither.NONE).save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def keep_outputs(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Take the outputs of a notebook that was written before.

    Raises
    ------
    ValueError
        If its code is another.
    """
    old = nbformat.read(path, as_version=4)
    if code(old) != code(notebook):
        raise ValueError(f"{path.name} has other code: run make notebooks")
    outputs = iter([cell for cell in old.cells if cell.cell_type == "code"])
    for cell in notebook.cells:
        if cell.cell_type == "code":
            before = next(outputs)
            cell.outputs, cell.execution_count = before.outputs, before.execution_count


def main(arguments: list[str]) -> None:
    """Write every notebook, or those that are named."""
    os.environ["PYTHONPATH"] = str(ROOT)
    names = [name for name in arguments if not name.startswith("-")]
    for source in sorted(FOLDER.glob("*.md")):
        if names and source.stem not in names:
            continue
        notebook, path = converted(source.read_text(encoding="utf-8")), source.with_suffix(".ipynb")
        if "--text" in arguments:
            keep_outputs(notebook, path)
        else:
            execute(notebook)
        nbformat.write(notebook, path)
        print(f"notebooks/{path.name}: {path.stat().st_size / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
