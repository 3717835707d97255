"""A network as a differentiable torch module, with the same text and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.learn.kernels.fused import fits, run_layer
from dendrosim.learn.networks.state_names import use_targets
from dendrosim.learn.step.arguments import check_dtype
from dendrosim.learn.step.discrete import DiscreteStep
from dendrosim.learn.step.functions import torch_functions, with_sigmoid
from dendrosim.model.optional import output_of
from dendrosim.networks.inputs import as_record
from dendrosim.networks.layer import Layer
from dendrosim.networks.network import Network, check_network


@dataclass
class TorchOutput:
    """Results of a network for a batch.

    Attributes
    ----------
    spikes
        One tensor per layer, shape (B, T, n), of 0 and 1; differentiable.
    readout
        Shape (B, T, n_out).
    states
        One dict per layer with the requested variables, each of shape (B, T, n).
    """

    spikes: list[Tensor]
    readout: Tensor
    states: list[dict[str, Tensor]]


class TorchLayer(nn.Module):
    """A layer of discrete neurons.

    Parameters
    ----------
    layer
        Weights and text.
    surrogate, width, detach_reset
        See `DiscreteStep`.
    fused
        See `TorchNetwork`.
    """

    def __init__(
        self, layer: Layer, surrogate: str, width: float | None, detach_reset: bool, fused: bool
    ) -> None:
        super().__init__()
        self.layer = layer
        self.fused = fused
        self.step = DiscreteStep(layer.model, surrogate, width, detach_reset)
        self.derived = {name: with_sigmoid(e) for name, e in layer.model.derived.items()}
        tables = layer.input_weights, layer.recurrent_weights, layer.bias
        self.input_weights, self.recurrent_weights, self.bias = map(_trainable, tables)
        self.parameters_ = nn.ParameterDict()
        numbers = layer.values()
        for name, parameter in layer.model.parameters.items():
            value = numbers[name]
            if parameter.shape == "neuron" and value.ndim == 0:
                value = np.full(layer.n, value)
            tensor = torch.tensor(value)
            if parameter.trainable:
                self.parameters_[name] = nn.Parameter(tensor)
            else:
                self.register_buffer(f"value_{name}", tensor)

    def values(self) -> dict[str, Tensor]:
        """Return parameters and derived values, differentiable."""
        values = {}
        for name in self.layer.model.parameters:
            trained = name in self.parameters_
            values[name] = self.parameters_[name] if trained else getattr(self, f"value_{name}")
        dtype = next((value.dtype for value in values.values()), torch.get_default_dtype())
        for name, expression in self.derived.items():
            values[name] = expression(values, torch_functions(dtype))
        return values

    def initial(self, shape: tuple[int, ...], like: Tensor) -> dict[str, Tensor]:
        """Return the carried state and the output before the first step."""
        start = {name: torch.tensor(value) for name, value in self.layer.initial().items()}
        if starts := self.layer.model.starts:
            with torch.no_grad():  # annealing may have changed a parameter
                values = self.values()
            functions = torch_functions(like.dtype)
            start |= {name: torch.as_tensor(e(values, functions)) for name, e in starts.items()}
        return {
            name: start[name].to(like).expand(shape)
            for name in {*self.step.carried, output_of(self.layer.model)}
        }

    def forward(self, x: Tensor, record: tuple[str, ...] = ()) -> tuple[Tensor, dict[str, Tensor]]:
        """Run all steps of the layer.

        Parameters
        ----------
        x
            Shape (B, T, n_in).
        record
            Variables to return besides the spikes.

        Returns
        -------
        spikes : Tensor
            Shape (B, T, n).
        states : dict
        """
        if self.fused and fits(self, x, record):
            return run_layer(self, x, record)
        return self._run_eagerly(x, record)

    def _run_eagerly(self, x: Tensor, record: tuple[str, ...]) -> tuple[Tensor, dict[str, Tensor]]:
        """Run step by step with autograd only: the reference for the fused kernels."""
        output = output_of(self.layer.model)
        values = self.values()
        shape = (x.shape[0], self.layer.n)
        # the input of all steps at once: one matrix product instead of one per step
        driven = {port: self._driven(port, x).unbind(1) for port in self.layer.model.ports
                  if port in self.input_weights or port in self.bias}  # fmt: skip
        zero = x.new_zeros(shape)
        state = self.initial(shape, x)
        fired = state[output]
        spikes: list[Tensor] = []
        kept: dict[str, list[Tensor]] = {name: [] for name in record}
        for t in range(x.shape[1]):
            ports = dict.fromkeys(self.layer.model.inputs.values(), zero)
            ports |= {port: currents[t] for port, currents in driven.items()}
            for port, weights in self.recurrent_weights.items():
                ports[port] = ports[port] + fired @ weights.T
            state = self.step(state, ports, values)
            fired = state[output]
            spikes.append(fired)
            for name in record:
                kept[name].append(state[name])
        return torch.stack(spikes, 1), {name: torch.stack(v, 1) for name, v in kept.items()}

    def _driven(self, port: str, x: Tensor) -> Tensor:
        if port not in self.input_weights:
            return self.bias[port].expand(*x.shape[:2], -1)
        bias = self.bias[port] if port in self.bias else None  # noqa: SIM401 (ParameterDict.get differs)
        return nn.functional.linear(x, self.input_weights[port], bias)

    def to_layer(self) -> Layer:
        """Return the layer with the current weights and parameters."""
        changes: dict[str, Any] = {
            label: {port: _numpy(w) for port, w in getattr(self, label).items()}
            for label in ("input_weights", "recurrent_weights", "bias")
        }
        now = {name: _numpy(value) for name, value in self.parameters_.items()}
        own = self.layer.values()
        for name in self.layer.model.parameters.keys() - now.keys():
            buffer = getattr(self, f"value_{name}")  # annealing may have changed a parameter
            if not torch.equal(buffer, torch.tensor(own[name]).to(buffer)):
                now[name] = _numpy(buffer)
        return self.layer.with_(**changes, parameters={**self.layer.parameters, **now})


class TorchNetwork(nn.Module):
    """A network in torch.

    Parameters
    ----------
    network
        Weights and model texts.
    surrogate
        Name of the surrogate gradient, see `SURROGATES`.
    width
        Width of the surrogate.
    detach_reset
        Whether the gradient through the reset is cut.
    dtype
        ``torch.float32`` or ``torch.float64``.
    fused
        Whether to use compiled kernels if possible: on the CPU with a C++ compiler, on an
        NVIDIA GPU with the compiler that is installed with torch for CUDA.  The first run of a
        text takes some seconds to compile.  Operations and their order are those of autograd;
        matrix products and sums over samples may differ in the last digit.  Second derivatives
        need ``False``.

    Notes
    -----
    The names of its ``state_dict`` are the targets of `dendrosim.networks.convert`, such as
    ``layers.0.input_weights.I``, ``layers.0.parameters.c_1`` and ``readout.weights``.

    Examples
    --------
    >>> import torch, dendrosim as ds
    >>> net = ds.Network.random([ds.Layer("lstm_lif", 2, 8, recurrent=True)], n_out=3)
    >>> out = TorchNetwork(net)(torch.rand(4, 20, 2))
    >>> out.spikes[0].shape, out.readout.shape
    (torch.Size([4, 20, 8]), torch.Size([4, 20, 3]))
    """

    def __init__(
        self,
        network: Network,
        surrogate: str = "triangle",
        width: float | None = None,
        detach_reset: bool = False,
        dtype: torch.dtype = torch.float32,
        fused: bool = True,
    ) -> None:
        super().__init__()
        check_network(network)
        check_dtype(dtype)
        checks.flag(fused, "fused")
        self.network = network
        how = surrogate, width, detach_reset, fused
        layers = nn.ModuleList(TorchLayer(layer, *how) for layer in network.layers)
        self.layers = cast("Sequence[TorchLayer]", layers)  # a ModuleList hides this type
        self.readout_weights = nn.Parameter(torch.tensor(network.readout_weights))
        self.readout_bias = nn.Parameter(torch.tensor(network.readout_bias))
        self.to(dtype)
        use_targets(self)

    def forward(
        self, x: Tensor, record: Mapping[int, str | Sequence[str]] | None = None
    ) -> TorchOutput:
        """Run all layers for all steps.

        Parameters
        ----------
        x
            Shape (B, T, n_in).
        record
            Layer number to the variables to return.

        Raises
        ------
        DendrosimError
            If the input has another shape, no step, or, on the CPU, a number that is not finite (on
            a GPU this check would delay the next launch); if a layer has no such variable.
        """
        self._check(x)
        record = as_record(self.network, record)
        x = x.to(self.readout_weights)
        spikes, states = [], []
        for k, layer in enumerate(self.layers):
            x, kept = layer(x, record.get(k, ()))
            spikes.append(x)
            states.append(kept)
        # time first, as in the memory layout of the last layer's spikes
        readout = nn.functional.linear(x.transpose(0, 1), self.readout_weights, self.readout_bias)
        readout = readout.transpose(0, 1)
        return TorchOutput(spikes, readout, states)

    def _check(self, x: Tensor) -> None:
        check_input(x, self.network.n_in)
        # a comparison with NaN is false, so NaN would look like no spikes
        if x.device.type == "cpu" and not torch.isfinite(x).all():
            raise DendrosimError("input holds a number that is not finite")

    def to_network(self) -> Network:
        """Return the network with the current weights and parameters."""
        return Network(
            [layer.to_layer() for layer in self.layers],
            _numpy(self.readout_weights),
            _numpy(self.readout_bias),
            self.network.metadata,
        )


def check_input(x: Any, n_in: int) -> None:
    """Refuse an input that is not a dense batch of real numbers, or is empty.

    Raises
    ------
    DendrosimError
    """
    needed = f"(B, T, {n_in}) is needed"
    if not isinstance(x, Tensor):
        raise DendrosimError(f"input is {type(x).__name__}, but a tensor of shape {needed}")
    if x.is_nested or x.layout is not torch.strided or x.is_complex() or x.is_quantized:
        raise DendrosimError(
            f"input is a tensor of {x.dtype} and layout {x.layout}, but a dense one of real "
            f"numbers is needed: x.to_dense(), x.real or x.dequantize() may give it"
        )
    if x.ndim != 3 or x.shape[2] != n_in or not x.shape[0] or not x.shape[1]:
        what = ", without a sample" if x.ndim == 3 and not x.shape[0] else ""
        raise DendrosimError(f"input has shape {tuple(x.shape)}{what}, but {needed}")


def _trainable(table: Mapping[str, np.ndarray]) -> nn.ParameterDict:
    return nn.ParameterDict({port: nn.Parameter(torch.tensor(w)) for port, w in table.items()})


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(float)
