"""Resources shared by claims and figures: networks that are trained once, and logged runs.

The small networks learn the 8 x 8 digits of scikit-learn, one pixel per step: 64 steps, a few
seconds each.  The papers do not use this task, so it can only test claims about behaviour, not
their accuracies.
"""

from __future__ import annotations

import json
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dendrosim.errors import DendrosimError

if TYPE_CHECKING:
    from dendrosim.learn.gradients.trajectories import LayerRun
    from dendrosim.learn.tasks import Task
    from dendrosim.learn.training.recipe import Recipe
    from dendrosim.networks.network import Network

Array = np.ndarray

#: Name to the recipe and its changes.
SMALL: dict[str, tuple[str, tuple[str, ...]]] = {
    "lif": ("digits_lif", ()),
    "alif": ("digits_lif", (
        "layers.model='alif'", "layers.weights='uniform(-15, 15)'", "training.lr=2e-2",
        "layers.recurrent_weights='uniform(-1, 1)'", "layers.parameters.tau_m='normal(20, 5)'",
        "layers.parameters.tau_adp='normal(150, 10)'",
    )),
    "lstm_lif": ("digits_lstm_lif", ()),
    "lrmm": ("digits_lrmm", (
        "layers.weights='uniform(-3, 3)'", "layers.recurrent_weights='uniform(-0.5, 0.5)'",
    )),
}  # fmt: skip
#: Ablations of LRMM (Table 2) and the additional changes to a network.
ABLATIONS: dict[str, tuple[str, ...]] = {
    "no_feedback": ("layers.model='lrmm:no_feedback'",),
    "no_recurrence": ("layers.model='lrmm:no_recurrence'", "layers.recurrent=false"),
    "shared_gate": ("layers.model='lrmm:shared_gate'",),
    "feedforward": ("layers.recurrent=false",),
}
EPOCHS = {False: 15, True: 60}  # small, full
#: The noisy copy task (Fig. 5 of LRMM), small and full.
NOISY_COPY = {
    False: ("task.alphabet=4", "task.segment=2", "task.n_train=8000", "training.epochs=16",
            "training.lr=1e-2", "training.batch=64"),
    True: ("training.epochs=20",),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Trained:
    """A network trained by a workshop.

    Attributes
    ----------
    network
        Network of the best epoch.
    history
        One row per epoch.
    accuracy
        Accuracy on the test part.
    surrogate
        ``surrogate`` and ``width`` of the training.
    """

    network: Network
    history: Sequence[Mapping[str, Any]]
    accuracy: float
    surrogate: dict[str, Any]


class Workshop:
    """Networks by name, each trained only once.

    Parameters
    ----------
    full
        Whether to train four times as long and to draw at a higher resolution.
    runs
        Folder with logged training runs; by default ``benchmarks/results`` of the checkout.
    """

    def __init__(self, full: bool = False, runs: Path | None = None) -> None:
        self.full = full
        self.runs = runs or Path(__file__).parents[2] / "benchmarks" / "results"
        self._made: dict[tuple[str, ...], Any] = {}

    def once(self, *key: str, make: Callable[[], Any]) -> Any:
        """Return the result of `make`, computed on the first call with this key."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def trained(self, name: str) -> Trained:
        """Return the small network of a model, or of an ablation such as ``"lrmm:no_feedback"``."""
        base, _, ablation = name.partition(":")
        recipe, changes = SMALL[base]
        changes += ABLATIONS.get(ablation, ())
        return self.once("trained", name, make=lambda: self.train(recipe, changes))

    def noisy_copy(self) -> tuple[Trained, Task]:
        """Return a network trained on the noisy copy task, and the task."""
        return self.once("noisy copy", make=self._noisy_copy)

    def _noisy_copy(self) -> tuple[Trained, Task]:
        from dendrosim.learn import load_recipe
        from dendrosim.learn.tasks import load_task

        changes = ("task.n_validation=500", "task.n_test=500", *NOISY_COPY[self.full])
        plan = load_recipe("noisy_copy_lrmm", changes)
        return self._run(plan), load_task(plan.task, **plan.task_options)

    def train(self, recipe: str, changes: Sequence[str] = (), epochs: int | None = None) -> Trained:
        """Train a small recipe on the pixels of the digits."""
        from dendrosim.learn import load_recipe

        length = f"training.epochs={epochs or EPOCHS[self.full]}"
        return self._run(load_recipe(recipe, ["task.layout='pixels'", length, *changes]))

    def _run(self, plan: Recipe) -> Trained:
        """Train in a temporary folder."""
        from dendrosim.learn import train
        from dendrosim.networks.network import Network

        with tempfile.TemporaryDirectory() as folder:
            done = train(plan, Path(folder) / "run", device="cpu", progress=False)
        slope = {"surrogate": plan.surrogate.name, "width": plan.surrogate.width}
        assert isinstance(done.network, Network)  # no recipe of a paper trains cells of torch
        return Trained(done.network, done.history, done.accuracy, slope)

    def samples(self, n: int = 100) -> tuple[Array, Array]:
        """Return test samples of the small task: shapes (n, 64, 1) and (n,)."""
        return self.digits().test.batch(np.arange(n))

    def digits(self) -> Task:
        """Return the small task."""
        from dendrosim.learn.tasks import load_task

        return self.once("digits", make=lambda: load_task("digits", layout="pixels"))

    def paths(self, name: str) -> list[LayerRun]:
        """Return states and currents of each layer of a small network on a few test samples."""
        return self.once("paths", name, make=lambda: self._paths(self.trained(name).network))

    def _paths(self, network: Network) -> list[LayerRun]:
        from dendrosim.learn.gradients.trajectories import follow

        return follow(network, self.samples(8)[0])[0]

    def logged(self, recipe: str, task: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the results of finished training runs of a recipe, best first.

        Parameters
        ----------
        recipe
            Name of the recipe.
        task
            Required options of the task.
        """
        found = [
            told for told in self.once("logged", make=self._finished)
            if told.get("recipe") == recipe and _had(told).items() >= task.items()
        ]  # fmt: skip
        return sorted(found, key=lambda told: -told["test_accuracy"])

    def _finished(self) -> list[dict[str, Any]]:
        found = []
        for path in sorted(self.runs.rglob("*.json")) if self.runs.is_dir() else ():
            try:
                told = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise DendrosimError(f"{path}: not a readable result ({error})") from None
            if isinstance(told, dict) and "test_accuracy" in told:
                found.append(told)
        return found


def _had(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the task in a run."""
    return tomllib.loads(told.get("recipe_text", "")).get("task", {})
