"""The step of a layer as straight-line code, forward and adjoint: the core of every fused kernel.

The surrounding kernel loads and stores the numbers: see `cpp` and `cuda`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from dendrosim.learn.kernels.adjoint import Tape
from dendrosim.model.expressions import Expression, Statement


@dataclass(frozen=True)
class StepCode:
    """The step of a layer as lines of C++.

    A number ``x`` of the text is ``in_x`` before the step; the derivative with respect to it is
    ``d_in_x``.  The derivative with respect to a carried variable ``x`` after the step is read
    from ``by_x``, that with respect to the spikes from ``by_spikes`` and, in a recurrent layer,
    ``by_recurrent``.

    Attributes
    ----------
    statements
        Statements of the model, with marked spikes.
    ports
        Ports with weights or a bias.
    silent
        Ports without: their current is 0.
    recurrent
        Whether the layer has recurrent weights.
    carried
        Variables that one step passes to the next.
    output
        The spike variable.
    values
        Name of each parameter to whether it has one value per neuron.
    active
        Parameters with respect to which derivatives are computed.
    surrogate, width
        Derivative of a spike.
    type
        ``"float"`` or ``"double"``.
    """

    statements: tuple[Statement, ...]
    ports: tuple[str, ...]
    silent: tuple[str, ...]
    recurrent: bool
    carried: tuple[str, ...]
    output: str
    values: tuple[tuple[str, bool], ...]
    active: tuple[str, ...]
    surrogate: Expression
    width: float
    type: str

    @cached_property
    def _tape(self) -> Tape:
        wanted = frozenset((*self.ports, *self.carried, *self.active))
        tape = Tape(wanted, self.surrogate, self.width)
        tape.read((*self.ports, *self.silent, *self.carried, *(name for name, _ in self.values)))
        tape.add(self.statements)
        return tape

    @property
    def forward(self) -> list[str]:
        """The lines of the statements."""
        return list(self._tape.forward)

    @property
    def adjoint(self) -> list[str]:
        """The lines of their derivatives, to follow the statements."""
        seeds = {name: f"by_{name}" for name in self.carried}
        carried = [seeds[self.output]] if self.output in seeds else []
        arriving = ["by_spikes", "by_recurrent"] if self.recurrent else ["by_spikes"]
        seeds[self.output] = " + ".join([*carried, *arriving])
        return self._tape.backward(seeds)

    def after(self, name: str) -> str:
        """Return the C++ name that holds a variable of the text after the step."""
        return self._tape.names[name]
