"""Files of a comparison: tables, figure, recordings and JSON values."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dendrosim.current_clamp.doubts import found
from dendrosim.errors import DendrosimError
from dendrosim.files import path_text, replacing, target

if TYPE_CHECKING:
    from dendrosim.comparison.result import Comparison

#: Files that `Comparison.save` writes, besides a recording of each model.
FILES = ("table.csv", "curves.csv", "table.json", "comparison.png")


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return plain values for JSON; a missing value is None."""
    keys = ("dt", "method", "device", "threads", "seed", "compiled")
    times = ("compile_seconds", "run_seconds")
    return {
        "protocol": comparison.protocol.name,
        "title": comparison.protocol.title,
        "measure": list(comparison.protocol.window),
        "reference": comparison.names[0],
        "models": _plain(comparison.table.rename_axis("name").reset_index().to_dict("records")),
        "curves": _plain(comparison.curves.to_dict("records")),
        "recorded": _recorded(comparison),
        "runs": [
            {"name": name, "model": r.meta["model"]} | {k: r.meta[k] for k in (*keys, *times)}
            for name, r in zip(comparison.names, comparison.recordings, strict=True)
        ],
    }


def _recorded(comparison: Comparison) -> dict[str, Any] | None:
    if comparison.clamp is None or comparison.sweeps is None:
        return None
    sweeps = _plain(comparison.sweeps.to_dict("records"))
    return {"found": found(comparison.clamp), "sweeps": sweeps}


def write_folder(comparison: Comparison, folder: str | os.PathLike) -> list[Path]:
    """Write tables, figure and recordings into a folder, see `Comparison.save`."""
    folder = Path(path_text(folder, "folder"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # a null byte is a ValueError
        raise DendrosimError(f"{folder}: cannot be made ({error})") from None
    recordings = file_names(comparison.names)
    for name in (*FILES, *recordings):
        target(folder / name)  # check all paths before the first file is written
    writers: dict[str, Callable[[Path], Any]] = {
        "table.csv": lambda path: comparison.table.to_csv(path, index_label="model"),
        "curves.csv": lambda path: comparison.curves.to_csv(path, index=False),
        "table.json": lambda path: path.write_text(
            json.dumps(comparison.to_json(), indent=1) + "\n"
        ),
    }
    for name, write in writers.items():
        with replacing(folder / name) as temporary:
            write(temporary)
    comparison.plot(folder / "comparison.png")
    for name, recording in zip(recordings, comparison.recordings, strict=True):
        recording.save(folder / name)
    return [folder / name for name in (*FILES, *recordings)]


def file_names(names: Sequence[str]) -> list[str]:
    """Return the file name of each model's recording; all names differ.

    >>> file_names(["lif", "a $x$", "a_x_"])
    ['lif.nc', 'a_x_.nc', 'a_x__2.nc']
    """
    result: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
        same = [f"{plain}.nc", *(f"{plain}_{k}.nc" for k in range(2, len(names) + 1))]
        result.append(next(file for file in same if file not in result))
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value
