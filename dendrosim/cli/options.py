"""Functions that several commands share: JSON output, checks of paths, arrays from files."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import click

from dendrosim.errors import DendrosimError, DendrosimWarning
from dendrosim.files import target

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
#: Corrections of the potential of a recorded cell.
SERIES_RESISTANCE = click.option(
    "--series-resistance", metavar="VALUE",
    help='Uncompensated, "12 Mohm" or estimate; its voltage is subtracted.',
)  # fmt: skip
JUNCTION = click.option(
    "--junction", metavar="VALUE",
    help='Junction potential, "10 mV", subtracted from the recording.',
)  # fmt: skip

#: Maximum size of an input as float64, in bytes.
MAX_BYTES = 4_000_000_000


@contextlib.contextmanager
def goes_on(out: str | None) -> Iterator[None]:
    """Say on Ctrl-C that the same command goes on, if it writes into a folder."""
    try:
        yield
    except KeyboardInterrupt:
        told = f"; what is finished is in {out}, and the same command goes on" if out else ""
        raise KeyboardInterrupt(told) from None


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(_plain(value), indent=2))


def _plain(value: Any) -> Any:
    """Return a value that JSON supports; NaN, which JSON does not support, becomes null."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and value != value else value


def notes_as_lines() -> None:
    """Print each `DendrosimWarning` as one line on stderr; other warnings do not change.

    Call this after the import of Brian2, which redirects warnings to its log.
    """
    others = warnings.showwarning

    def tell(
        message: Warning | str, category: type[Warning], filename: str, lineno: int,
        file: TextIO | None = None, line: str | None = None,
    ) -> None:  # fmt: skip
        if issubclass(category, DendrosimWarning):
            click.echo(f"dendrosim: note: {' '.join(str(message).split())}", err=True)
        else:
            others(message, category, filename, lineno, file, line)

    if getattr(others, "__name__", "") != "tell":
        warnings.showwarning = tell


def check_writable(out: str | None, endings: tuple[str, ...], option: str = "--out") -> None:
    """Check that an output file has a valid ending and is writable (`files.target`).

    Raises
    ------
    DendrosimError
    """
    if out is None:
        return
    path = Path(out)
    if path.suffix not in endings:
        raise DendrosimError(f"{option} {out}: should end in {', '.join(endings)}")
    try:
        target(path)
    except DendrosimError as error:
        raise DendrosimError(f"{option} {error}") from None


def check_folder(out: str | None, names: Sequence[str] = ()) -> None:
    """Check that neither an output folder nor one of its parents is a file.

    Parameters
    ----------
    names
        Names of the files to write into the folder; those that exist must be writable.

    Raises
    ------
    DendrosimError
    """
    if out is None:
        return
    path = Path(out)
    there = next((p for p in (path, *path.parents) if p.exists()), path)
    if there.exists() and not there.is_dir():
        raise DendrosimError(f"--out {out}: should be a folder, and {there} is a file")
    for name in names if path.is_dir() else ():
        target(path / name)


def read_array(path: str) -> Any:
    """Read the numbers of a .npy file, without executing code from it.

    Raises
    ------
    DendrosimError
        If the file does not exist, is not in .npy format, is truncated, contains Python objects,
        or would need more than `MAX_BYTES` as float64.
    """
    import numpy as np

    if not Path(path).is_file():
        raise DendrosimError(f"{path}: there is no such file")
    try:
        # mapped, not read, because mapping compares the size in the header with the file size
        array = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # numpy raises many kinds for a broken header
        said = (str(error).splitlines() or [""])[0] or type(error).__name__
        said = "its header is not one of plain values" if "<ast." in said else said
        raise DendrosimError(f"{path}: not a readable .npy file of numbers ({said})") from None
    if array.size * 8 > MAX_BYTES:
        raise DendrosimError(f"{path}: {array.size:,} numbers are more than are read")
    return np.array(array)
