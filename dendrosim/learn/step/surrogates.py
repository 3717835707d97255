"""Surrogate gradients: functions used as the derivative of a spike.

In the forward pass, a spike is exactly ``a > b`` (or ``a >= b``).  In the backward pass, its
derivative with respect to ``x = a - b`` is one of the functions here.  They are written as model
text, so torch and the fused kernels use the same formula.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from brian2.units.fundamentalunits import DIMENSIONLESS
from torch import Tensor

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.learn.step.functions import torch_functions, with_sigmoid
from dendrosim.model.expressions import Expression, parse_number


@dataclass(frozen=True)
class Surrogate:
    """A derivative of the spike with respect to the distance ``x`` to threshold.

    Attributes
    ----------
    text
        Formula in ``x`` and ``width``.
    width
        Default width.
    reference
        Source in the literature.
    """

    text: str
    width: float
    reference: str

    @cached_property
    def expression(self) -> Expression:
        """The checked text."""
        return with_sigmoid(parse_number(self.text, "surrogate"))

    def __call__(self, x: Tensor, width: float | None = None) -> Tensor:
        """Evaluate the derivative at ``x``, of any shape."""
        values = {"x": x, "width": self.width if width is None else width}
        return self.expression(values, torch_functions(x.dtype))


_GAUSS = "exp(-0.5*((x - {mu})/({s}))**2)/(({s})*sqrt(2*pi))"

SURROGATES: dict[str, Surrogate] = {
    "triangle": Surrogate(
        "clip(1 - abs(x)/width, 0, 1)", 1.0,
        "Esser et al. 2016; LSTM-LIF with width 1 (AAAI supplement)",
    ),
    "boxcar": Surrogate("int(abs(x) <= 0.5*width)", 1.0, "LRMM with width 1 (A.2, A.4)"),
    "arctan": Surrogate(
        "0.5*width/(1 + (0.5*pi*width*x)**2)", 2.0, "Fang et al. 2021 (PLIF)"
    ),
    "sigmoid": Surrogate(
        "sigmoid(x/width)*(1 - sigmoid(x/width))/width", 0.25, "Zenke and Vogels 2021"
    ),
    "multi_gaussian": Surrogate(
        "0.575*{}".format(_GAUSS.format(mu="0", s="width"))
        + " - 0.075*({} + {})".format(
            _GAUSS.format(mu="width", s="6*width"), _GAUSS.format(mu="(-width)", s="6*width")
        ),
        0.5, "Yin et al. 2021 (ALIF): half of 1.15 N(x; 0, w) - 0.15 (N(x; w, 6w) + N(x; -w, 6w))",
    ),
}  # fmt: skip


def find_surrogate(name: str, width: float | None = None) -> Callable[[Tensor], Tensor]:
    """Return the surrogate of this name as a function of ``x``.

    Raises
    ------
    DendrosimError
        If there is no such surrogate or the width is not positive.
    """
    checks.one_of(name, SURROGATES, "unknown surrogate")
    if width is not None and not checks.number(width, "width", dim=DIMENSIONLESS) > 0:
        raise DendrosimError(f"width = {width!r} of a surrogate is not above 0")
    function = SURROGATES[name]
    return lambda x: function(x, width)


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, a: Tensor, b: Tensor, fired: Tensor, slope: Callable[[Tensor], Tensor]
    ) -> Tensor:
        ctx.save_for_backward(a - b)
        ctx.slope = slope
        return fired.to(a.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
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
        Width of the surrogate; its default width if None.

    Raises
    ------
    DendrosimError
        If there is no such surrogate or the width is not positive.
    """
    slope = find_surrogate(name, width)

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
