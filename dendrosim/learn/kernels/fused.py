"""All steps of a layer as one autograd operation, using fused kernels.

The products with the input weights are computed here for all steps at once.  The kernels compute
everything that involves the recurrent weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from dendrosim.devices.compiler import has_compiler
from dendrosim.learn.kernels import cuda_driver, spike_products
from dendrosim.learn.kernels.cpp import CppKernel
from dendrosim.learn.kernels.cuda import CudaKernel
from dendrosim.learn.kernels.kernel import Kernel
from dendrosim.learn.kernels.step_code import StepCode
from dendrosim.learn.step.surrogates import SURROGATES

if TYPE_CHECKING:
    from dendrosim.learn.networks.torch_network import TorchLayer

TYPES = {torch.float32: "float", torch.float64: "double"}


@dataclass(frozen=True)
class Run:
    """The arguments of a run that are not tensors with gradients.

    Attributes
    ----------
    kernel
        The compiled step.
    initial
        Name of each carried variable and of the output to its value before the first step, a
        number or shape (n,).
    keep
        Whether to keep the states of all steps, for the backward pass or for recording.
    """

    kernel: Kernel
    initial: Mapping[str, Tensor]
    keep: bool


class _Steps(torch.autograd.Function):
    """All steps of a layer: current (T, B, ports*n) to spikes (T, B, n)."""

    @staticmethod
    def forward(
        ctx: Any, run: Run, drive: Tensor, recurrent: Tensor | None, *given: Tensor
    ) -> tuple[Tensor, ...]:
        code = run.kernel.code
        start = run.initial[code.output]
        steps = drive.shape[0]
        output = drive.new_empty((steps + 1, *start.shape))
        output[0] = start
        kept = {code.output: output} if code.output in code.carried and run.keep else {}
        for name in code.carried:
            if name not in kept:
                kept[name] = drive.new_empty((steps + 1 if run.keep else 1, *start.shape))
                kept[name][0] = run.initial[name]
        states = [kept[name] for name in code.carried]
        values = [value.contiguous() for value in given]
        spikes = output[1:]
        run.kernel.forward(values, drive, recurrent, states, output[0], spikes, run.keep)
        ctx.run = run
        ctx.save_for_backward(drive, recurrent, output, *values, *states)
        ctx.mark_non_differentiable(*states)
        ctx.set_materialize_grads(False)
        return spikes, *states

    @staticmethod
    @once_differentiable  # for second derivatives use fused=False
    def backward(
        ctx: Any, by_spikes: Tensor | None, *_: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        code = ctx.run.kernel.code
        drive, recurrent, output, *rest = ctx.saved_tensors
        values, states = rest[: len(code.values)], rest[len(code.values) :]
        by_spikes = torch.zeros_like(output[1:]) if by_spikes is None else by_spikes.contiguous()
        by_drive, totals = ctx.run.kernel.backward(values, drive, recurrent, states, by_spikes)
        by_recurrent = None
        if recurrent is not None:
            by_recurrent = spike_products.by_weights(output[:-1], by_drive)
        found = dict(zip(code.active, totals.to(drive.dtype), strict=False))
        by_values = [
            None if name not in found else found[name] if each else found[name].sum()
            for name, each in code.values
        ]
        return None, by_drive, by_recurrent, *by_values


def run_steps(
    run: Run, drive: Tensor, recurrent: Tensor | None, values: Sequence[Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run all steps of a layer.

    Parameters
    ----------
    run
        Kernel and initial state.
    drive
        Current of every step from below, ports side by side, shape (T, B, ports*n).  It is
        overwritten with the total current.
    recurrent
        Recurrent weights of the layer, ports stacked, shape (ports*n, n).
    values
        Parameters in the order of the kernel, numbers or shape (n,).

    Returns
    -------
    spikes : Tensor
        Shape (T, B, n), differentiable.
    states : dict
        Carried variables after each step, shape (T, B, n), if they were kept.
    """
    spikes, *states = _Steps.apply(run, drive, recurrent, *values)
    kept = {
        name: state[1:]
        for name, state in zip(run.kernel.code.carried, states, strict=True)
        if run.keep
    }
    return spikes, kept


def fits(layer: TorchLayer, x: Tensor, record: Sequence[str]) -> bool:
    """Return whether a kernel supports a layer: number type, recorded variables, compiler."""
    if x.dtype not in TYPES or not x.numel():
        return False
    if set(record) - set(layer.step.carried) or (record and torch.is_grad_enabled()):
        return False
    return kernel_type(x.device.type) is not None


def kernel_type(device: str) -> type[Kernel] | None:
    """Return the kernel class for a device, None if there is none."""
    if device == "cpu":
        return CppKernel if has_compiler() else None
    if device == "cuda":
        return CudaKernel if cuda_driver.available() else None
    return None


def run_layer(
    layer: TorchLayer, x: Tensor, record: Sequence[str]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a layer with its kernel; arguments and results as in `TorchLayer.forward`."""
    tables = layer.input_weights, layer.recurrent_weights, layer.bias
    ports = layer.layer.model.inputs.values()
    weighted = [port for port in ports if any(port in table for table in tables)]
    values = layer.values()
    read = set().union(*(statement.expression.names for statement in layer.step.statements))
    values = {name: value for name, value in values.items() if name in read}
    grad = torch.is_grad_enabled()
    kernel = _kernel(
        kernel_type(x.device.type), tuple(layer.step.statements), tuple(weighted),
        tuple(port for port in ports if port not in weighted),
        len(layer.recurrent_weights) > 0, layer.step.carried, layer.layer.model.output,
        tuple((name, value.ndim > 0) for name, value in values.items()),
        tuple(name for name, value in values.items() if value.requires_grad and grad),
        layer.step.surrogate, layer.step.width, TYPES[x.dtype],
    )  # fmt: skip
    drive = _drive(layer, weighted, x.transpose(0, 1))
    recurrent = _stacked(layer.recurrent_weights, weighted, (layer.layer.n, layer.layer.n), x)
    needed = grad and any(
        tensor is not None and tensor.requires_grad
        for tensor in (drive, recurrent, *values.values())
    )
    initial = layer.initial((x.shape[0], layer.layer.n), x)
    run = Run(kernel, initial, needed or bool(record))
    spikes, states = run_steps(run, drive, recurrent, list(values.values()))
    return spikes.transpose(0, 1), {name: states[name].transpose(0, 1) for name in record}


@lru_cache(maxsize=256)
def _kernel(*fields: Any) -> Kernel:
    kind, *rest, surrogate, width, type_ = fields
    rest += [SURROGATES[surrogate].expression, width, type_]
    return kind(StepCode(*rest))


def _drive(layer: TorchLayer, ports: Sequence[str], x: Tensor) -> Tensor:
    """Return the current from below, (T, B, ports*n), in a new array."""
    bias = _stacked(layer.bias, ports, (layer.layer.n,), x)
    weights = _stacked(layer.input_weights, ports, (layer.layer.n, layer.layer.n_in), x)
    if weights is not None:
        # under autocast the product has another type than the states
        return spike_products.linear(x, weights, bias).to(x.dtype).contiguous()
    zero = x.new_zeros((*x.shape[:2], len(ports) * layer.layer.n))
    return zero if bias is None else zero + bias


def _stacked(
    table: nn.ParameterDict, ports: Sequence[str], shape: tuple[int, ...], like: Tensor
) -> Tensor | None:
    """Return the arrays of all ports stacked, with zeros for a port without an array."""
    if not len(table):
        return None
    return torch.cat([table[port] if port in table else like.new_zeros(shape) for port in ports])
