"""Pages that are made when the documentation is built, into `docs/generated`."""

from __future__ import annotations

import hashlib
import shutil
from functools import cache
from pathlib import Path

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
FOLDER = DOCS / "generated"


@cache
def fingerprint(*others: Path) -> str:
    """Return a digest of the package, its shelves and other folders."""
    digest = hashlib.sha256()
    for folder in (ROOT / "dendrosim", ROOT / "models", ROOT / "protocols", *others):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def write_pages(app: object) -> None:
    """Write every generated page; what takes seconds only if it is of other sources."""
    import benchmark_pages
    import errata

    stamp, sources = FOLDER / ".made_from", fingerprint(DOCS / "_ext")
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != sources:
        write_slow_pages()
        stamp.write_text(sources, encoding="utf-8")
    errata.write(FOLDER / "errata.md")
    benchmark_pages.write(FOLDER)
    copy_notebooks(FOLDER / "notebooks")
    forget_names(FOLDER / "api")


def write_slow_pages() -> None:
    """Run every model, and every claim of the papers that needs no trained network."""
    import front_page
    import house
    import model_pages

    from dendrosim import papers

    for name in ("models", "papers"):
        shutil.rmtree(FOLDER / name, ignore_errors=True)  # pages of names that are gone, too
        (FOLDER / name).mkdir(parents=True)
    front_page.write(FOLDER / "front.png")
    house.write(FOLDER)
    model_pages.write(FOLDER / "models")
    papers.reproduce(FOLDER / "papers", quick=True, progress=False)


def forget_names(folder: Path) -> None:
    """Remove the pages of names that `api.md` lists no more."""
    listed = set((DOCS / "api.md").read_text(encoding="utf-8").split())
    for path in folder.glob("*.rst"):
        if path.stem not in listed:
            path.unlink()


def copy_notebooks(folder: Path) -> None:
    """Copy the notebooks, which stand outside of `docs`; one that has not changed is left."""
    folder.mkdir(exist_ok=True)
    own = {
        path.name: path.read_text(encoding="utf-8") for path in (ROOT / "notebooks").glob("*.md")
    }
    for path in folder.glob("*.md"):
        if path.name not in own:
            path.unlink()
    for name, text in own.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: object) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", write_pages, priority=100)  # before autosummary reads api.md
    return {"parallel_read_safe": True}
