"""The files of a fit."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dendrosim import shelves
from dendrosim.figures.style import save_figure
from dendrosim.files import make_folder, path_text, replacing
from dendrosim.fitting.figure import fit_figure
from dendrosim.model.toml import to_table

if TYPE_CHECKING:
    from dendrosim.fitting.posterior.result import Posterior
    from dendrosim.fitting.result import Fit

FILES = ("fit.json", "fitted.toml", "values.csv", "table.csv", "history.csv", "fit.png")


def write_fit(fit: Fit, folder: str | os.PathLike) -> list[Path]:
    """Write the files of `Fit.save`."""
    folder = make_folder(path_text(folder, "fit"))
    with replacing(folder / "fit.json") as temporary:
        temporary.write_text(json.dumps(fit.to_json(), indent=2) + "\n")
    with replacing(folder / "fitted.toml") as temporary:
        temporary.write_text(shelves.toml_text(to_table(fit.model)), encoding="utf-8")
    for name, table in (("values", fit.values.reset_index()), ("table", fit.table),
                        ("history", fit.history)):  # fmt: skip
        with replacing(folder / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    save_figure(fit_figure(fit), folder / "fit.png")
    return [folder / name for name in FILES]


def write_posterior(posterior: Posterior, folder: str | os.PathLike) -> list[Path]:
    """Write the files of `Posterior.save`."""
    folder = make_folder(path_text(folder, "posterior"))
    table, text, picture = (folder / f"posterior.{ending}" for ending in ("csv", "json", "png"))
    with replacing(table) as temporary:
        posterior.samples.to_csv(temporary, index=False)
    with replacing(text) as temporary:
        temporary.write_text(json.dumps(posterior.to_json(), indent=2) + "\n")
    save_figure(posterior.plot(), picture)
    return [table, text, picture]
