"""Model files of reductions."""

from __future__ import annotations

import os

from dendrosim import shelves
from dendrosim.files import replacing
from dendrosim.model.model import Model
from dendrosim.model.toml import to_table


def save_model(model: Model, path: str | os.PathLike, title: str = "", source: str = "") -> None:
    """Write a model as a file for `load_model`.

    Parameters
    ----------
    model
        The model.
    path
        The file (.toml).
    title, source
        Title, and source of the values of all parameters; by default those of the model.

    Raises
    ------
    DendrosimError
        If the file cannot be written.
    """
    table = to_table(model)
    if title:
        table["title"] = title
    for parameter in table["parameters"].values() if source else ():
        parameter["source"] = source
    with replacing(path) as temporary:
        temporary.write_text(shelves.toml_text(table), encoding="utf-8")
