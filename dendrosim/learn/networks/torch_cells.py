"""Non-spiking networks for comparison in papers: torch's own LSTM and ReLU units.

Torch defines their equations, so there is no model file and no run in Brian2.  For training they
have the same interface as a `TorchNetwork`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.learn.networks.torch_network import TorchOutput, check_input
from dendrosim.learn.step.arguments import check_dtype
from dendrosim.networks.layer import MOST

#: Kind to torch's module for one layer.
CELLS: dict[str, Callable[..., nn.RNNBase]] = {
    "lstm": nn.LSTM,  # Hochreiter and Schmidhuber 1997, with forget gates
    "srnn_relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
}


class CellNetwork(nn.Module):
    """Layers of real-valued recurrent units and a linear readout.

    Parameters
    ----------
    kind
        ``"lstm"``, or ``"srnn_relu"`` for units ``h = relu(W x + V h + b)``.
    sizes
        Number of inputs, then number of units per layer.
    n_out
        Number of readouts.
    seed
        Seed of the weights, which are initialised as in torch.
    dtype
        ``torch.float32`` or ``torch.float64``.

    Notes
    -----
    Torch gives each unit two biases, but only their sum matters.  Here the second one stays 0, so
    `n_weights` is the number given in papers: 4 (n_in + n + 1) n for a layer of LSTM units.

    Raises
    ------
    DendrosimError
        If the kind is unknown or a size is not a positive whole number.

    Examples
    --------
    >>> import torch
    >>> network = CellNetwork("lstm", (2, 8), n_out=3)
    >>> out = network(torch.rand(4, 20, 2))
    >>> out.readout.shape, out.spikes, network.n_weights
    (torch.Size([4, 20, 3]), [], 379)
    """

    def __init__(
        self, kind: str, sizes: Sequence[int], n_out: int, seed: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:  # fmt: skip
        super().__init__()
        checks.one_of(kind, CELLS, "kind =")
        if not checks.is_row(sizes):
            raise DendrosimError(f"{kind}: sizes = {checks.short(sizes)} should be a list of sizes")
        checks.whole(seed, f"{kind}: seed")
        check_dtype(dtype)
        for size in (*sizes, n_out):
            if type(size) is not int or not 1 <= size <= MOST:
                raise DendrosimError(
                    f"{kind}: the size {size!r} should be a whole number, 1 or larger"
                )
        if len(sizes) < 2:
            raise DendrosimError(f"{kind}: sizes = {sizes!r} should be inputs and units of a layer")
        self.kind, self.n_in, self.n_out = kind, sizes[0], n_out
        with torch.random.fork_rng(devices=[]):  # do not advance the caller's generator
            torch.default_generator.manual_seed(seed)
            layers = nn.ModuleList(
                CELLS[kind](n_in, n, batch_first=True, dtype=dtype) for n_in, n in pairwise(sizes)
            )
            self.layers = cast("Sequence[nn.RNNBase]", layers)  # a ModuleList hides this type
            self.readout = nn.Linear(sizes[-1], n_out, dtype=dtype)
        for layer in self.layers:
            nn.init.zeros_(layer.get_parameter("bias_hh_l0")).requires_grad_(False)

    @property
    def n_weights(self) -> int:
        """Number of weights and biases of all layers and the readout."""
        return sum(weights.numel() for weights in self.parameters() if weights.requires_grad)

    def forward(self, x: Tensor) -> TorchOutput:
        """Run all layers for all steps.

        Parameters
        ----------
        x
            Shape (B, T, n_in).

        Returns
        -------
        TorchOutput
            The readout has shape (B, T, n_out); spikes and states are empty.
        """
        check_input(x, self.n_in)
        x = x.to(self.readout.weight)
        for layer in self.layers:
            x, _ = layer(x)
        return TorchOutput([], self.readout(x), [])
