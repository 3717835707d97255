"""Interface of fused kernels for any device: all steps of a layer, and their adjoint."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dendrosim.learn.kernels.step_code import StepCode


@dataclass(frozen=True)
class Kernel(ABC):
    """The compiled step of a layer.

    Attributes
    ----------
    code
        Source of the step.
    """

    code: StepCode

    @abstractmethod
    def forward(
        self, values: Sequence[Tensor], drive: Tensor, recurrent: Tensor | None,
        states: Sequence[Tensor], before: Tensor, spikes: Tensor, keep: bool,
    ) -> None:  # fmt: skip
        """Run all steps.

        Parameters
        ----------
        values
            Parameters in the order of the code, numbers or shape (n,).
        drive
            Current from below, shape (T, B, ports*n); overwritten with the total current.
        recurrent
            Recurrent weights of the layer, shape (ports*n, n).
        states
            Carried variables: written from the second row on, shape (T + 1, B, n); or, if not
            kept, overwritten at each step, shape (1, B, n).
        before
            Spikes before the first step, shape (B, n).
        spikes
            Output array, shape (T, B, n).
        keep
            Whether to keep the states and the total current.
        """

    @abstractmethod
    def backward(
        self, values: Sequence[Tensor], drive: Tensor, recurrent: Tensor | None,
        states: Sequence[Tensor], by_spikes: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Run the adjoint of all steps; arguments are those of `forward`, with all states kept.

        Parameters
        ----------
        by_spikes
            Derivative with respect to the spikes, shape (T, B, n).

        Returns
        -------
        by_drive : Tensor
            Derivative with respect to the current, shape (T, B, ports*n).
        by_values : Tensor
            Derivative with respect to each active parameter per neuron, (active, n), float64.
        """


def each_step(
    run: Callable[[int], None], before: Tensor, spikes: Tensor, weights: Tensor, current: Tensor
) -> None:
    """Run step by step; before each step, compute the current from the previous spikes."""
    for t, row in enumerate(spikes.unbind(0)):
        torch.mm(before, weights.T, out=current)
        run(t)
        before = row


def each_step_back(
    run: Callable[[int], None], by_drive: Tensor, weights: Tensor, by_before: Tensor
) -> None:
    """Run the adjoint step by step; after each step, compute the derivative by earlier spikes."""
    for t, row in reversed(list(enumerate(by_drive.unbind(0)))):
        run(t)
        torch.mm(row, weights, out=by_before)
