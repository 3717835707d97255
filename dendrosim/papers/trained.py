"""Claims about training: accuracies from logged runs, behaviour of small networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.papers.claims import Found, NotReachableError, check_apart

if TYPE_CHECKING:
    from dendrosim.learn.gradients.loss_surface import Landscape
    from dendrosim.papers.workshop import Trained, Workshop

TASK = "8 x 8 digits, a pixel a step"
#: Accuracy of guessing, and the minimum accuracy that counts as learning.
CHANCE, LEAST = 0.1, 0.3
#: Coefficients at the centre of the four quadrants, in counting order.
QUADRANTS = {
    "first": (0.4, 0.4),
    "second": (-0.4, 0.4),
    "third": (-0.4, -0.4),
    "fourth": (0.4, -0.4),
}


def logged(shop: Workshop, recipe: str, task: Mapping[str, Any] | None = None) -> Found:
    """Return the accuracy of a recipe's finished runs in per cent: the median of the longest runs.

    Parameters
    ----------
    shop
        Workshop with the runs.
    recipe
        Name of the recipe.
    task
        Required options of the task; runs with other options are ignored.
    """
    runs = shop.logged(recipe, task or {})
    if not runs:
        raise NotReachableError(f"no finished run of recipe {recipe!r} in benchmarks/results")
    epochs = max(told["epochs"] for told in runs)
    found = [100 * told["test_accuracy"] for told in runs if told["epochs"] == epochs]
    told = ", ".join(f"{value:.2f}" for value in found)
    return Found(
        float(np.median(found)), f"{len(found)} run(s) of {epochs} epochs: {told}",
        lower_is_open=True,
    )  # fmt: skip


def learns_faster(shop: Workshop, one: str, than: str, accuracy: float = 0.4) -> Found:
    """Test whether one model reaches a validation accuracy in fewer epochs than another."""
    epochs = {}
    for name in (one, than):
        reached = [row["epoch"] for row in shop.trained(name).history
                   if row["validation_accuracy"] >= accuracy]  # fmt: skip
        epochs[name] = reached[0] if reached else float("inf")
    told = ", ".join(f"{name} {_epoch(epoch)}" for name, epoch in epochs.items())
    return Found(epochs[one] < epochs[than], f"epochs to {accuracy:.0%} on {TASK}: {told}")


def is_better(shop: Workshop, one: str, than: str) -> Found:
    """Test whether one model has the higher test accuracy after the same training."""
    a, b = (shop.trained(name).accuracy for name in (one, than))
    error = standard_error(a, b, len(shop.digits().test))
    told = f"{TASK}: {one} {a:.1%}, {than} {b:.1%} (standard error of the difference {error:.1%})"
    check_apart(a, b, error, told)
    return Found(bool(a > b), told)


def standard_error(a: float, b: float, n: int) -> float:
    """Return the standard error of the difference of two accuracies on n samples each."""
    return float(np.sqrt((a * (1 - a) + b * (1 - b)) / n))


def smoother(shop: Workshop, one: str = "lstm_lif", than: str = "lif") -> Found:
    """Test whether the loss around one trained network is smoother than around another."""
    rough = {name: landscape_of(shop, name).roughness for name in (one, than)}
    told = ", ".join(f"{name} {value:.4f}" for name, value in rough.items())
    return Found(bool(rough[one] < rough[than]), f"roughness on {TASK}: {told}")


def landscape_of(shop: Workshop, name: str) -> Landscape:
    """Return the loss around a small trained network, on test samples."""
    return shop.once("landscape", name, make=lambda: _landscape(shop, name))


def _landscape(shop: Workshop, name: str) -> Landscape:
    from dendrosim.learn import TorchNetwork
    from dendrosim.learn.gradients.loss_surface import landscape, loss_on

    network = shop.trained(name).network
    loss = loss_on(network, *shop.samples(50))
    points = 41 if shop.full else 15
    return landscape(TorchNetwork(network), loss, points=points, progress=False)


def quadrant_learns(shop: Workshop, name: str, learns: bool = True) -> Found:
    """Test whether eqs 6-8 without leak learn (or fail to) from coefficients in a quadrant.

    They learn if their accuracy is more than halfway from chance to that of the second quadrant.
    The second quadrant itself must reach `LEAST`.
    """
    accuracies = {
        one: made.accuracy if (made := from_quadrant(shop, one)) else 0.0
        for one in ("second", name)
    }  # fmt: skip
    best = accuracies["second"]
    does = accuracies[name] >= (LEAST if name == "second" else (CHANCE + best) / 2)
    told = ", ".join(
        f"{100 * value:.1f} % from {QUADRANTS[one]}" for one, value in accuracies.items()
    )
    return Found(does is learns, f"{TASK}, {_epochs(shop)} epochs: {told}")


def from_quadrant(shop: Workshop, name: str) -> Trained | None:
    """Return a network of eqs 6-8 without leak, started in a quadrant; None if it diverged."""
    return shop.once("quadrant", name, make=lambda: _from_quadrant(shop, name))


def _from_quadrant(shop: Workshop, name: str) -> Trained | None:
    beta_1, beta_2 = QUADRANTS[name]
    values = {"alpha_1": 1.0, "alpha_2": 1.0, "gamma": 0.5, "beta_1": beta_1, "beta_2": beta_2}
    changes = ["layers.model='two_compartment'"]
    changes += [f"layers.parameters.{key}={value}" for key, value in values.items()]
    try:
        return shop.train("digits_lstm_lif", changes, epochs=_epochs(shop))
    except DendrosimError as error:
        if "finite" in str(error):
            return None
        raise


def _epochs(shop: Workshop) -> int:
    return 15 if shop.full else 5


def _epoch(epoch: float) -> str:
    return "never" if np.isinf(epoch) else f"{epoch:g}"
