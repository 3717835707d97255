"""Records of a training run: rows of numbers, a progress bar, and provenance."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from dendrosim.files import replacing
from dendrosim.progress import on_terminal

_PACKAGES = ("dendrosim", "torch", "numpy", "brian2")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of numbers as CSV atomically."""
    import pandas as pd

    with replacing(path) as temporary:
        pd.DataFrame(list(rows)).to_csv(temporary, index=False)


def provenance(device: str, threads: int) -> dict[str, Any]:
    """Return time, machine, versions and commit of the current run."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(name)
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(device),
        "threads": threads,
        "versions": versions,
    }


def commit() -> str | None:
    """Return the commit of the running checkout, with ``+`` if it has uncommitted changes."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return None
    git = ["git", "-C", str(root)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, check=True, text=True
        )
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no", "dendrosim", "models"],
            capture_output=True, check=True, text=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def machine(device: str) -> str:
    """Return the processor, the number of cores and, if used, the GPU."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(": ")[2] for line in lines if "model name" in line), name)
    text = f"{name}, {os.cpu_count()} cores"
    return f"{torch.cuda.get_device_name()}; {text}" if device == "cuda" else text


@contextlib.contextmanager
def training_bar(show: bool | None, what: str, total: int) -> Iterator[Callable | None]:
    """Show a bar with loss and accuracy on a terminal.

    Parameters
    ----------
    show
        Whether to show it; None shows it if standard error is a terminal.
    what
        Name of the run.
    total
        Number of steps.

    Yields
    ------
    callable or None
        Call it with the number of steps done and a function that returns loss, hits and count
        so far; this function is called at most twice per second.  None if no bar is shown.
    """
    if not (on_terminal() if show is None else show):
        yield None
        return
    from tqdm import tqdm

    form = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    with tqdm(total=total, desc=what, leave=False, bar_format=form) as bar:
        asked = 0.0

        def tell(done: int, sums: Callable[[], Sequence[float]]) -> None:
            nonlocal asked
            if time.monotonic() - asked < 0.5:
                return
            asked = time.monotonic()
            loss, hits, count = sums()
            if count:
                bar.set_postfix_str(f"loss {loss / count:.3f} accuracy {hits / count:.2%}", False)
            bar.update(done - bar.n)

        yield tell


class Board:
    """Event files for TensorBoard; without TensorBoard, nothing is written.

    Parameters
    ----------
    folder
        Folder of the event files.
    epoch
        Hide events that an interrupted run wrote from this epoch on.
    """

    def __init__(self, folder: Path, epoch: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self.writer = None
            return
        self.writer = SummaryWriter(str(folder), purge_step=epoch)

    def add(self, row: Mapping[str, Any]) -> None:
        """Write one row of the log."""
        if self.writer is None:
            return
        for name, value in row.items():
            if name != "epoch":
                self.writer.add_scalar(name, value, row["epoch"])
        self.writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self.writer is not None:
            self.writer.close()
