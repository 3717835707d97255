"""The loss around a trained network along random directions (Li et al. 2018).

A direction is normalised neuron by neuron: each row of its matrices has the norm of the same row
of the network's weights.  Otherwise the surface would look flat for large weights and rough for
small ones, even if both networks compute the same.  Biases and neuron parameters stay fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from dendrosim.errors import DendrosimError
from dendrosim.learn.training.evaluation import readout_of
from dendrosim.learn.training.losses import scores, sums
from dendrosim.networks.network import Network
from dendrosim.progress import progress_bar

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Landscape:
    """Loss along one or two directions.

    Attributes
    ----------
    steps
        Positions along each direction, in lengths of the weights, shape (n,); 0 is the network.
    losses
        Shape (n,) or (n, n): rows go along the second direction.
    seed
        Seed of the directions.
    """

    steps: Array
    losses: Array
    seed: int

    @property
    def centre(self) -> float:
        """Loss of the unchanged network."""
        return float(self.losses[(len(self.steps) // 2,) * self.losses.ndim])

    @property
    def roughness(self) -> float:
        """Roughness of the landscape between neighbouring points, relative to its height.

        The root mean square of the second difference along the directions, divided by the range of
        the losses: 0 for a plane, and independent of the scale of the loss.
        """
        bends = [np.diff(self.losses, 2, axis=axis).ravel() for axis in range(self.losses.ndim)]
        height = np.ptp(self.losses)
        return float(np.sqrt(np.mean(np.concatenate(bends) ** 2)) / height) if height else 0.0


def landscape(
    network: nn.Module, loss: Callable[[nn.Module], Tensor], *, extent: float = 1.0,
    points: int = 21, dimensions: int = 2, seed: int = 0, progress: bool | None = None,
) -> Landscape:  # fmt: skip
    """Compute the loss of a network along random directions, scaled to its weights.

    Parameters
    ----------
    network
        A `TorchNetwork`, or any module; it is restored when the function returns.
    loss
        Function from the network to its loss, such as
        ``lambda net: cross_entropy(net(x).readout.sum(1), labels)``.
    extent
        Largest distance from the network, in lengths of the weights.
    points
        Number of points along a direction; must be odd.
    dimensions
        1 or 2.
    seed
        Seed of the directions.
    progress
        Whether to show a progress bar; by default only on a terminal.

    Returns
    -------
    Landscape

    Raises
    ------
    DendrosimError
        If a number is out of range, the network has no weights, or a loss is not finite.
    """
    if isinstance(points, bool) or not isinstance(points, int) or points < 3 or points % 2 == 0:
        raise DendrosimError(f"points = {points!r} is not an odd number from 3")
    if dimensions not in (1, 2):
        raise DendrosimError(f"dimensions = {dimensions!r}; valid: 1, 2")
    if not 0 < extent < np.inf:
        raise DendrosimError(f"extent = {extent!r} is not a number above 0")
    parameters = list(network.parameters())
    if not any(parameter.ndim > 1 for parameter in parameters):
        raise DendrosimError("the network has no matrix of weights")
    generator = torch.Generator().manual_seed(seed)
    ways = [[direction(p, generator) for p in parameters] for _ in range(dimensions)]
    steps = np.linspace(-extent, extent, points)
    losses = np.empty((points,) * dimensions)
    start = [parameter.detach().clone() for parameter in parameters]
    with progress_bar(progress, "landscape") as tell, torch.no_grad():
        try:
            for done, index in enumerate(np.ndindex(losses.shape)):
                along = [float(steps[i]) for i in reversed(index)]
                _move(parameters, start, ways, along)
                losses[index] = float(loss(network))
                if tell:
                    tell((done + 1) / losses.size)
        finally:
            _move(parameters, start, [], [])
    if not np.all(np.isfinite(losses)):
        raise DendrosimError("the loss is not finite everywhere; a smaller extent may help")
    return Landscape(steps, losses, seed)


def loss_on(network: Network, x: Array, y: Array) -> Callable[[nn.Module], Tensor]:
    """Return the loss of a trained network on samples, as a function for `landscape`.

    Parameters
    ----------
    network
        As saved by `train`: its metadata contain the readout.
    x, y
        Input of shape (B, T, n_in) and classes, as returned by a `Split`.
    """
    readout = readout_of(network)
    inputs, target = torch.from_numpy(np.asarray(x)), torch.from_numpy(np.asarray(y))

    def loss(module: nn.Module) -> Tensor:
        out = module(inputs)
        found = sums(scores(out.readout, out.spikes[-1], readout), target)
        return found.loss / found.count

    return loss


def direction(parameter: Tensor, generator: torch.Generator) -> Tensor:
    """Return a random direction with the row norms of a weight matrix; 0 for a vector."""
    if parameter.ndim < 2:
        return torch.zeros_like(parameter)
    drawn = torch.randn(parameter.shape, generator=generator).to(parameter)
    rows = tuple(range(1, parameter.ndim))
    norm = torch.linalg.vector_norm(parameter.detach(), dim=rows, keepdim=True)
    return drawn * (norm / torch.linalg.vector_norm(drawn, dim=rows, keepdim=True))


def _move(
    parameters: list[nn.Parameter], start: list[Tensor], ways: list[list[Tensor]],
    along: list[float],
) -> None:  # fmt: skip
    """Set every parameter to its start plus the given distance along each direction."""
    for k, parameter in enumerate(parameters):
        moved = start[k].clone()
        for way, step in zip(ways, along, strict=True):
            moved += step * way[k]
        parameter.data.copy_(moved)
