"""LIF networks of other packages, each in its fastest mode on a CPU: of the sizes of ours.

`snntorch_lif` and `spikingjelly_lif` return a module that takes (batch, steps, channels) and gives
the readout's mean over the steps, or None where the package is not installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


def snntorch_lif(sizes: Sequence[int], recurrent: Sequence[bool], classes: int) -> nn.Module | None:
    """Return snnTorch's leaky neurons, recurrent ones with a dense matrix, a step at a time."""
    try:
        import snntorch
    except ImportError:
        return None

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.ModuleList(nn.Linear(n_in, n) for n_in, n in pairwise(sizes))
            self.cells = nn.ModuleList(
                snntorch.RLeaky(beta=0.8, linear_features=n, all_to_all=True) if again
                else snntorch.Leaky(beta=0.8) for n, again in zip(sizes[1:], recurrent, strict=True)
            )  # fmt: skip
            self.readout = nn.Linear(sizes[-1], classes)

        def forward(self, x: Tensor) -> Tensor:
            states = [cell.init_rleaky() if again else (cell.init_leaky(),)
                      for cell, again in zip(self.cells, recurrent, strict=True)]  # fmt: skip
            total = 0
            for signal in x.unbind(1):
                for k, cell in enumerate(self.cells):
                    signal, *rest = cell(self.linear[k](signal), *states[k])
                    states[k] = (signal, *rest) if recurrent[k] else tuple(rest)
                total = total + self.readout(signal)
            return total / x.shape[1]

    return Net()


def spikingjelly_lif(
    sizes: Sequence[int], recurrent: Sequence[bool], classes: int
) -> nn.Module | None:
    """Return SpikingJelly's LIF in multi-step mode, recurrent layers in its own container."""
    try:
        from spikingjelly.activation_based import functional, layer, neuron, surrogate
    except ImportError:
        return None

    def cell(mode: str) -> nn.Module:
        return neuron.LIFNode(tau=5.0, surrogate_function=surrogate.ATan(), step_mode=mode)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            parts: list[nn.Module] = []
            for (n_in, n), again in zip(pairwise(sizes), recurrent, strict=True):
                own = layer.LinearRecurrentContainer
                parts.append(layer.Linear(n_in, n, step_mode="m"))
                parts.append(own(cell("s"), n, n, step_mode="m") if again else cell("m"))
            self.parts = nn.Sequential(*parts, layer.Linear(sizes[-1], classes, step_mode="m"))

        def forward(self, x: Tensor) -> Tensor:
            functional.reset_net(self)
            return self.parts(x.transpose(0, 1)).mean(0)

    return Net()
