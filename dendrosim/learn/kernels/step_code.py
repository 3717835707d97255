"""A step of a layer as straight-line code, forward and adjoint: what every fused kernel contains.

Where the numbers come from and go to is the business of the kernel around it: `cpu_kernels` and
`cuda_kernels`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from dendrosim.learn.kernels.adjoint import Tape
from dendrosim.model.expressions import Expression, Statement


@dataclass(frozen=True)
class StepCode:
    """A step of a layer as lines of C++.

    A number ``x`` of the text stands before the step as ``in_x``; the derivative by it is
    ``d_in_x``.  The derivative by a carried variable ``x`` after the step is read from ``by_x``,
    that by the spikes from ``by_spikes`` and, in a recurrent layer, ``by_recurrent``.

    Attributes
    ----------
    statements
        Of the model, spikes marked.
    ports
        Those with weights or a bias.
    silent
        Those without: their current is 0.
    recurrent
        Whether the ports see the layer's own spikes too.
    carried
        Variables that one step hands to the next.
    output
        The spike.
    values
        Name of each parameter to whether it is one a neuron.
    active
        Parameters whose derivative is wanted.
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
        """The statements."""
        return list(self._tape.forward)

    @property
    def adjoint(self) -> list[str]:
        """Their derivatives, to stand behind the statements."""
        seeds = {name: f"by_{name}" for name in self.carried}
        carried = [seeds[self.output]] if self.output in seeds else []
        arriving = ["by_spikes", "by_recurrent"] if self.recurrent else ["by_spikes"]
        seeds[self.output] = " + ".join([*carried, *arriving])
        return self._tape.backward(seeds)

    def after(self, name: str) -> str:
        """Return what holds a name of the text after the step."""
        return self._tape.names[name]
