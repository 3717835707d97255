"""Surrogate gradients: what the derivative of a spike is taken to be.

Forward, a spike is exactly ``a > b`` (or ``a >= b``).  Backward, its derivative by ``x = a - b`` is
one of the functions here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dendrosim.errors import DendrosimError, did_you_mean


def triangle(x: Tensor, width: float = 1.0) -> Tensor:
    """``max(0, 1 - |x|/width)``: Esser et al. 2016; LSTM-LIF with width 1 (AAAI supplement)."""
    return torch.clamp(1 - x.abs() / width, min=0)


def boxcar(x: Tensor, width: float = 1.0) -> Tensor:
    """1 where ``|x| <= width/2``: LRMM with width 1 (A.2, A.4)."""
    return (x.abs() <= 0.5 * width).to(x.dtype)


def arctan(x: Tensor, width: float = 2.0) -> Tensor:
    """``width/2 / (1 + (pi width x/2)^2)``, the slope of an arctangent: Fang et al. 2021 (PLIF)."""
    return 0.5 * width / (1 + (0.5 * math.pi * width * x) ** 2)


def sigmoid(x: Tensor, width: float = 0.25) -> Tensor:
    """Slope of ``1/(1 + exp(-x/width))``: Zenke and Vogels 2021."""
    s = torch.sigmoid(x / width)
    return s * (1 - s) / width


def multi_gaussian(x: Tensor, width: float = 0.5) -> Tensor:
    """``1.15 N(x; 0, w) - 0.15 (N(x; w, 6w) + N(x; -w, 6w))``, halved: Yin et al. 2021 (ALIF)."""

    def gauss(z: Tensor, sigma: float) -> Tensor:
        return torch.exp(-0.5 * (z / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))

    wide = 6 * width
    return 0.5 * (1.15 * gauss(x, width) - 0.15 * (gauss(x - width, wide) + gauss(x + width, wide)))


SURROGATES: dict[str, Callable[..., Tensor]] = {
    "triangle": triangle,
    "boxcar": boxcar,
    "arctan": arctan,
    "sigmoid": sigmoid,
    "multi_gaussian": multi_gaussian,
}


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b, fired, slope):
        ctx.save_for_backward(a - b)
        ctx.slope = slope
        return fired.to(a.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        by_x = gradient * ctx.slope(x)
        return by_x, -by_x, None, None


def spike_functions(name: str, width: float | None = None) -> dict[str, Callable]:
    """Return ``spike_gt`` and ``spike_ge`` with the surrogate of this name.

    Parameters
    ----------
    name
        A key of `SURROGATES`.
    width
        Its width; its own default without.

    Raises
    ------
    DendrosimError
        If there is no such surrogate or the width is not above 0.
    """
    if name not in SURROGATES:
        raise DendrosimError(f"unknown surrogate {name!r}; {did_you_mean(name, SURROGATES)}")
    if width is not None and not width > 0:
        raise DendrosimError(f"width = {width!r} of a surrogate is not above 0")
    function = SURROGATES[name]

    def slope(x: Tensor) -> Tensor:
        return function(x) if width is None else function(x, width)

    def spike(a: Any, b: Any, *, reached: bool) -> Any:
        like = next((side for side in (a, b) if isinstance(side, Tensor)), None)
        if like is None:
            return float(a >= b if reached else a > b)
        a, b = (torch.as_tensor(side, dtype=like.dtype, device=like.device) for side in (a, b))
        a, b = torch.broadcast_tensors(a, b)
        return _Spike.apply(a, b, a >= b if reached else a > b, slope)

    return {
        "spike_gt": lambda a, b: spike(a, b, reached=False),
        "spike_ge": lambda a, b: spike(a, b, reached=True),
    }
