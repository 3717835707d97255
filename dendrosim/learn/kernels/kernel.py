"""What a fused kernel is, whatever it runs on: all steps of a layer, and their adjoint."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dendrosim.learn.kernels.step_code import StepCode


@dataclass(frozen=True)
class Kernel(ABC):
    """The step of a layer, to be compiled.

    Attributes
    ----------
    code
        The step.
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
            Current from below, shape (T, B, ports*n); overwritten with the whole current.
        recurrent
            Weights of the layer's own spikes, shape (ports*n, n).
        states
            Carried variables, written from their second row on, shape (T + 1, B, n); or, where they
            are not kept, overwritten at each step, shape (1, B, n).
        before
            Spikes before the first step, shape (B, n).
        spikes
            Written, shape (T, B, n).
        keep
            Whether the states and the whole current are kept.
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
            Derivative by the spikes, shape (T, B, n).

        Returns
        -------
        by_drive : Tensor
            Derivative by the current, shape (T, B, ports*n).
        by_values : Tensor
            Derivative by each active parameter of each neuron, shape (active, n), float64.
        """


def each_step(
    run: Callable[[int], None], before: Tensor, spikes: Tensor, weights: Tensor, current: Tensor
) -> None:
    """Run step by step, each after the product that tells it the current of the spikes before."""
    for t, row in enumerate(spikes.unbind(0)):
        torch.mm(before, weights.T, out=current)
        run(t)
        before = row


def each_step_back(
    run: Callable[[int], None], by_drive: Tensor, weights: Tensor, by_before: Tensor
) -> None:
    """Run the adjoint step by step, each before the product that tells what it is to the spikes."""
    for t, row in reversed(list(enumerate(by_drive.unbind(0)))):
        run(t)
        torch.mm(row, weights, out=by_before)
