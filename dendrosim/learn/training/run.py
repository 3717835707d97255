"""The public function for training, with checks of its arguments."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from dendrosim import checks
from dendrosim.devices.execute import MAX_THREADS
from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.files import path_text
from dendrosim.learn.tasks.task import Task
from dendrosim.learn.training import memory
from dendrosim.learn.training.parallel import world
from dendrosim.learn.training.recipe import Recipe, load_recipe
from dendrosim.learn.training.run_folder import RunFolder, TrainingResult
from dendrosim.model.quantities import UNITS

SAVE_SECONDS = 60.0
PRECISIONS = ("float32", "bf16")


def train(
    recipe: str | os.PathLike | Recipe,
    out: str | os.PathLike | None = None,
    *,
    seed: int = 0,
    resume: bool = False,
    changes: Iterable[str] = (),
    task: Task | None = None,
    data: str | os.PathLike | None = None,
    device: str | None = None,
    threads: int | None = None,
    precision: str = "float32",
    save_seconds: float = SAVE_SECONDS,
    save_steps: int | None = None,
    progress: bool | None = None,
    on_epoch: Callable[[Mapping[str, Any]], None] | None = None,
) -> TrainingResult:
    """Train a recipe; the epoch is chosen by validation, and the test part is used once at the end.

    Parameters
    ----------
    recipe
        Name on the shelf, path or `Recipe`.
    out
        Folder of the result; ``runs/<recipe>`` by default.
    seed
        Seed of initial weights, order of samples and dropout.
    resume
        Continue the run in `out`, or start it if there is none.
    changes
        Changes to the recipe, such as ``"training.epochs=3"``.
    task, data
        A task instead of that of the recipe; the folder of its files.
    device
        ``"cpu"`` or ``"cuda"``; by default the GPU if there is one.
    threads
        Torch threads on the CPU.  The number is saved, because only the same number gives
        bit-identical results after resuming.
    precision
        ``"float32"``, or ``"bf16"``: matrix products in bfloat16, on a GPU only.
    save_seconds, save_steps
        Save the state after this time or number of steps, in addition to the end of each epoch.
    progress
        Whether to show a progress bar; by default only on a terminal.
    on_epoch
        Called with the row of each epoch.

    Returns
    -------
    TrainingResult

    Raises
    ------
    DendrosimError
        If the recipe, the task or an option is invalid, the folder contains another run, or the
        loss is no longer finite.

    Notes
    -----
    With ``torchrun``, each process computes a share of every batch.
    """
    recipe = load_recipe(recipe, changes)
    place = _device(device, precision)
    checks.whole(seed, "seed")
    if threads is not None:
        checks.whole(threads, "threads", least=1, most=MAX_THREADS)
    if save_steps is not None:
        checks.whole(save_steps, "save_steps", least=1)
    checks.positive(save_seconds, "save_seconds", dim=UNITS["second"].dim, finite=False, zero=True)
    checks.flag(resume, "resume")
    if progress is not None:
        checks.flag(progress, "progress")
    if on_epoch is not None and not callable(on_epoch):
        raise DendrosimError(f"on_epoch = {checks.short(on_epoch)} cannot be called")
    if task is not None:
        checks.instance(task, Task, "task")
    if data is not None:
        path_text(data, "folder of data")
    folder = Path("runs") / recipe.name if out is None else Path(path_text(out, "folder"))
    with world(place) as processes, _threads(threads), memory.kept():
        run = RunFolder(recipe, folder, seed, processes, place, precision)
        try:
            run.open(resume, task, data, keep_threads=threads is not None)
            try:
                run.go(save_seconds, save_steps, progress, on_epoch)
            except DendrosimError:
                run.leave()
                raise
            return run.finish()
        finally:
            run.close()


def _device(device: str | None, precision: str) -> str:
    known = ("cpu", "cuda")
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if not isinstance(device, str) or device not in known:
        raise DendrosimError(f"device {device!r} cannot train; {did_you_mean(str(device), known)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise DendrosimError("device 'cuda': torch sees no GPU here")
    if not isinstance(precision, str) or precision not in PRECISIONS:
        hint = did_you_mean(str(precision), PRECISIONS)
        raise DendrosimError(f"precision {precision!r} is unknown; {hint}")
    if precision == "bf16" and device != "cuda":
        raise DendrosimError("precision 'bf16' is for a GPU: on the CPU it is slower, not faster")
    return device


@contextlib.contextmanager
def _threads(number: int | None) -> Iterator[None]:
    """Set the number of torch threads within this context."""
    before = torch.get_num_threads()
    if number is not None:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
