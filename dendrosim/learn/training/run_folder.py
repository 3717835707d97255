"""The folder of a training run: its state, its log, the network of its best epoch, its result.

The state is one file, `last.pt`; the log and the network are derived from it.  All random numbers
depend only on (seed, epoch, step), so a run that was killed and resumed gives the same results
as an uninterrupted run.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from dendrosim.errors import DendrosimError
from dendrosim.files import make_folder
from dendrosim.learn.networks.torch_cells import CELLS
from dendrosim.learn.networks.trained_cells import TrainedCells
from dendrosim.learn.training.evaluation import evaluate
from dendrosim.learn.training.log import Board, provenance, training_bar, write_json, write_rows
from dendrosim.learn.training.parallel import World
from dendrosim.learn.training.recipe import Recipe
from dendrosim.learn.training.resume import check_identity, load_state, save_state
from dendrosim.learn.training.trainer import Trainer
from dendrosim.networks.network import Network

if TYPE_CHECKING:
    from dendrosim.learn.tasks.task import Task


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """Results of a training run.

    Attributes
    ----------
    network
        Network of the epoch with the best validation accuracy.
    folder
        Folder with `run.json`, `log.csv`, `last.pt`, `best.safetensors` and `result.json`.
    history
        One row per epoch.
    meta
        Recipe, seed, best epoch, accuracies, seconds, commit and machine.
    """

    network: Network | TrainedCells
    folder: Path
    history: Sequence[Mapping[str, Any]]
    meta: Mapping[str, Any]

    @property
    def accuracy(self) -> float:
        """Share of correct results in the test part."""
        return self.meta["test_accuracy"]


class RunFolder:
    """A trainer and its folder.

    Parameters
    ----------
    recipe, seed, device, precision, processes
        As for `Trainer`.
    folder
        Folder of the files.
    """

    def __init__(
        self, recipe: Recipe, folder: Path, seed: int, processes: World, device: str,
        precision: str,
    ) -> None:  # fmt: skip
        self.recipe, self.folder, self.seed = recipe, folder, seed
        self.processes, self.device, self.precision = processes, device, precision
        self.made: bool | None = None  # whether this run created the folder
        self._held: int | None = None  # lock of the folder
        models = {layer.model for layer in recipe.layers} - CELLS.keys()
        self.identity = {"recipe": recipe.hash, "seed": seed}
        self.identity |= {f"model {name}": recipe.model(name).hash for name in sorted(models)}

    def open(
        self, resume: bool, task: Task | None, data: str | os.PathLike | None, keep_threads: bool
    ) -> None:
        """Create the folder, or continue the run in it, and lock it against other processes."""
        new = self.processes.first and not self.folder.exists()
        if self.processes.first:
            make_folder(self.folder)
            self._held = _hold(self.folder)
        try:
            self._open(resume, task, data, keep_threads)
        except BaseException:
            if new:
                with contextlib.suppress(OSError):  # the folder is no longer empty
                    self.folder.rmdir()
            raise
        self.made = new

    def _open(
        self, resume: bool, task: Task | None, data: str | os.PathLike | None, keep_threads: bool
    ) -> None:
        last = self.folder / "last.pt"
        if not resume and (last.exists() or (self.folder / "run.json").exists()):
            raise DendrosimError(
                f"{self.folder}: holds a run already; --resume goes on with it, another --out "
                "starts anew"
            )
        state = load_state(last, self.identity) if last.exists() else None
        if state and not keep_threads:
            torch.set_num_threads(state["threads"])
        self.task = task or _load_task(self.recipe, data)
        self.identity["task"] = _hash(self.task)
        if state:
            check_identity(last, state, self.identity)
        self.trainer = Trainer(
            self.recipe, self.task, self.seed, self.device, self.precision, self.processes
        )
        if state:
            self.trainer.restore(state)
        self.processes.wait()  # all processes must read before the first one writes
        if self.processes.first:
            for left in self.folder.glob(".*-*"):  # temporary files of a killed run
                left.unlink(missing_ok=True)
            self._write_run()
            if self.trainer.progress.history:
                self._write_epoch()

    def go(
        self, save_seconds: float, save_steps: int | None, show: bool | None,
        on_epoch: Callable[[Mapping[str, Any]], None] | None,
    ) -> None:  # fmt: skip
        """Train the remaining epochs."""
        trainer, progress = self.trainer, self.trainer.progress
        total = trainer.steps * self.recipe.training.epochs
        what = f"{self.recipe.name}, seed {self.seed}"
        first = self.processes.first
        saved = time.monotonic()
        board = Board(self.folder / "tensorboard", progress.epoch + 1) if first else None
        with training_bar(show if first else False, what, total) as tell:

            def after_step() -> None:
                nonlocal saved
                if tell:
                    tell(progress.epoch * trainer.steps + progress.step, progress.totals.tolist)
                due = time.monotonic() - saved > save_seconds
                if first and (due or (save_steps and progress.step % save_steps == 0)):
                    self.save()
                    saved = time.monotonic()

            while not trainer.done:
                row = trainer.train_epoch(after_step)
                if first:
                    self.save()
                    self._write_epoch()
                    assert board is not None  # the first process has one
                    board.add(row)
                    if on_epoch:
                        on_epoch(row)
        if board:
            board.close()

    def leave(self) -> None:
        """Remove the files of a run that never saved a state."""
        if not self.processes.first or (self.folder / "last.pt").exists() or self.made is None:
            return
        (self.folder / "run.json").unlink(missing_ok=True)
        shutil.rmtree(self.folder / "tensorboard", ignore_errors=True)
        if self.made:
            with contextlib.suppress(OSError):  # the folder is no longer empty
                self.folder.rmdir()

    def close(self) -> None:
        """Release the lock of the folder."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def save(self) -> None:
        """Write the state of the run."""
        state = self.trainer.state() | {"threads": torch.get_num_threads()}
        save_state(self.folder / "last.pt", self.identity, state)

    def finish(self) -> TrainingResult:
        """Test the best network, once, and write the result."""
        history = self.trainer.progress.history
        network = self.trainer.best_network(self._metadata())
        path = self.folder / "result.json"
        if self.processes.first and not path.is_file():
            write_json(path, self._result(network))
        self.processes.wait()
        meta = json.loads(path.read_text(encoding="utf-8"))
        return TrainingResult(network, self.folder, history, meta)

    def _result(self, network: Network | TrainedCells) -> dict[str, Any]:
        test = evaluate(network, self.task, progress=False)
        best = self.trainer.progress.best
        told = {
            "recipe": self.recipe.name, "recipe_hash": self.recipe.hash, "task": self.task.name,
            "seed": self.seed, "epochs": self.trainer.progress.epoch, "best_epoch": best["epoch"],
            "validation_accuracy": best["accuracy"], "test_accuracy": test.accuracy,
            "test_hits": test.hits, "test_count": test.count, "activity": list(test.rates),
        }  # fmt: skip
        if test.target.ndim == 2:
            told["test_whole_sequences"] = test.whole
        run = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        told |= {"weights": network.n_weights, "seconds": self.trainer.progress.seconds}
        return told | {key: run[key] for key in ("commit", "machine", "threads", "processes")}

    def _write_run(self) -> None:
        """Write the description of the run, with an entry for each start and resumption."""
        path = self.folder / "run.json"
        now = provenance(self.device, torch.get_num_threads())
        if path.is_file():
            told = json.loads(path.read_text(encoding="utf-8"))
            told["resumed"].append(now | {"epoch": self.trainer.progress.epoch})
        else:
            told = now | {
                "recipe": self.recipe.name, "recipe_hash": self.recipe.hash, "seed": self.seed,
                "device": self.device, "precision": self.precision,
                "processes": self.processes.size, "task": dict(self.task.facts),
                "recipe_text": self.recipe.text, "resumed": [],
            }  # fmt: skip
        write_json(path, told)

    def _write_epoch(self) -> None:
        write_rows(self.folder / "log.csv", self.trainer.progress.history)
        self.trainer.best_network(self._metadata()).save(self.folder / "best.safetensors")

    def _metadata(self) -> dict[str, Any]:
        readout = self.recipe.readout
        return {
            "readout": {"rule": readout.rule, "start": readout.start, "scale": readout.scale},
            "recipe": self.recipe.name, "recipe_hash": self.recipe.hash, "seed": self.seed,
            "task": {"name": self.recipe.task, **self.recipe.task_options},
            "epoch": self.trainer.progress.best["epoch"],
        }  # fmt: skip


def _load_task(recipe: Recipe, data: str | os.PathLike | None) -> Task:
    from dendrosim.learn.tasks import load_task

    return load_task(recipe.task, data=data, **recipe.task_options)


def _hash(task: Task) -> str:
    try:
        text = json.dumps(dict(task.facts), sort_keys=True)
    except (TypeError, ValueError) as error:
        raise DendrosimError(
            f"{task.name}: its facts cannot be kept as JSON ({error}); plain text, numbers and "
            "lists can"
        ) from None
    return hashlib.sha256(text.encode()).hexdigest()


def _hold(folder: Path) -> int | None:
    """Lock a folder for this process; None if its file system does not support locks.

    Raises
    ------
    DendrosimError
        If another process trains there.
    """
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise DendrosimError(
            f"{folder}: another process is training there; wait for it, or give another --out"
        ) from None
    except OSError:
        os.close(held)
        return None
    return held
