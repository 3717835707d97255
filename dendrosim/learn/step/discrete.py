"""A differentiable torch step from the update text of a discrete model.

``int(a > b)`` in the text is a spike: exact in the forward pass, a surrogate in the backward pass.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from torch import Tensor

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.learn.step.arguments import check_values
from dendrosim.learn.step.functions import as_like, changed, torch_functions, with_sigmoid
from dendrosim.learn.step.surrogates import SURROGATES, find_surrogate, spike_functions
from dendrosim.model.expressions import Expression, Statement
from dendrosim.model.model import Model
from dendrosim.model.syntax import called_name


class _MarkSpikes(ast.NodeTransformer):
    """Replace ``int(a > b)`` by ``spike_gt(a, b)``, so that the surrogate gets both sides."""

    NAMES: ClassVar = {
        ast.Gt: "spike_gt",
        ast.GtE: "spike_ge",
        ast.Lt: "spike_gt",
        ast.LtE: "spike_ge",
    }

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.Call(
                func=ast.Name(id="int"),
                args=[ast.Compare(left=left, ops=[op], comparators=[right])],
            ) if type(op) in self.NAMES:
                sides = [right, left] if isinstance(op, ast.Lt | ast.LtE) else [left, right]
                return ast.Call(ast.Name(self.NAMES[type(op)], ast.Load()), sides, [])
        return node


def with_spikes(expression: Expression) -> Expression:
    """Return the expression with marked spikes and sigmoids; its value does not change."""
    return changed(with_sigmoid(expression), _MarkSpikes().visit)


def with_detached(expression: Expression, spikes: Collection[str]) -> Expression:
    """Return the expression without the gradient of every spike that it subtracts.

    The gradient of such a spike is removed everywhere in the expression, because in
    ``(1 - S)*H + S*V_r`` both parts belong to the reset.
    """
    cut = _subtracted(expression.tree, 1) & set(spikes)
    return changed(expression, _Detach(cut).visit) if cut else expression


def _subtracted(node: ast.AST, sign: int) -> set[str]:
    """Return the names with a negative sign, following signs through sums and products."""
    match node:
        case ast.Name(id=name):
            return {name} if sign < 0 else set()
        case ast.UnaryOp(op=op, operand=operand):
            return _subtracted(operand, -sign if isinstance(op, ast.USub) else sign)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            of = -1 if _is_negative(left) else 1, -1 if _is_negative(right) else 1
            return _subtracted(left, sign * of[1]) | _subtracted(right, sign * of[0])
        case ast.BinOp(left=left, op=op, right=right):
            other = -sign if isinstance(op, ast.Sub) else sign
            return _subtracted(left, sign) | _subtracted(right, other)
        case ast.Call(args=args):
            return set().union(*(_subtracted(arg, 1) for arg in args))
    return set()


def _is_negative(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)


class _Detach(ast.NodeTransformer):
    """Replace ``S`` by ``detached(S)``."""

    def __init__(self, names: Collection[str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self.names:
            return node
        return ast.Call(ast.Name("detached", ast.Load()), [node], [])


class DiscreteStep:
    """One step of a discrete model.

    Parameters
    ----------
    model
        A discrete model.
    surrogate, width
        Surrogate gradient of every spike in the text.
    detach_reset
        Whether to remove the gradient through the reset.  This concerns every spike that a line
        of the text subtracts, as in ``- V_th*S`` or ``(1 - S)*H + S*V_r``, and all its uses in
        that line.  By default the gradient is kept, as in both papers.

    Raises
    ------
    DendrosimError
        If the model is continuous.

    Examples
    --------
    >>> import torch, dendrosim as ds
    >>> step = DiscreteStep(ds.load_model("lif"))
    >>> values = {"beta": torch.tensor(0.5), "V_th": torch.tensor(1.0)}
    >>> state = step({"U": torch.zeros(1), "S": torch.zeros(1)}, {"I": torch.ones(1) * 1.5}, values)
    >>> state["S"]
    tensor([1.])
    """

    def __init__(
        self, model: Model, surrogate: str = "triangle", width: float | None = None,
        detach_reset: bool = False,
    ) -> None:  # fmt: skip
        checks.instance(model, Model, "model")
        checks.flag(detach_reset, "detach_reset")
        if model.kind != "discrete":
            raise DendrosimError(f"{model.name} is continuous; use ContinuousStep")
        self.model = model
        self.carried = model.carried
        find_surrogate(surrogate, width)  # refuses an invalid surrogate
        self.surrogate, self.detach_reset = surrogate, detach_reset
        self.width = SURROGATES[surrogate].width if width is None else width
        self.spikes = spike_functions(surrogate, width) | {"detached": _detach}
        statements = [Statement(s.target, with_spikes(s.expression)) for s in model.update]
        if detach_reset:
            fired = {s.target for s in statements if _is_spike(s.expression.tree)}
            statements = [
                Statement(s.target, with_detached(s.expression, fired)) for s in statements
            ]
        self.statements = statements
        used = set().union(*(s.expression.names for s in statements))
        self.needed = tuple(n for n in (*model.parameters, *model.derived) if n in used)

    def __reduce__(self) -> tuple:
        """Pickle and copy by the arguments."""
        return DiscreteStep, (self.model, self.surrogate, self.width, self.detach_reset)

    def __call__(
        self, state: Mapping[str, Tensor], ports: Mapping[str, Tensor], values: Mapping[str, Any]
    ) -> dict[str, Tensor]:
        """Return every variable after the step.

        Parameters
        ----------
        state
            Variables after the previous step, shape (..., n); only ``carried`` ones are used.
        ports
            Input of this step by port, shape (..., n).
        values
            Parameters and derived values, scalars or shape (n,).
        """
        check_values(state, self.carried, "state")
        check_values(ports, self.model.ports, "ports")
        check_values(values, self.needed, "values")
        like = next(iter(ports.values()))
        if not isinstance(like, Tensor):
            raise DendrosimError(f"ports = {checks.short(ports)} should map names to tensors")
        functions = {**torch_functions(like.dtype), **self.spikes}
        names = {**values, **ports, **{name: state[name] for name in self.carried}}
        for statement in self.statements:
            value = statement.expression(names, functions)
            if not isinstance(value, Tensor) or value.shape != like.shape:
                value = as_like(value, like).expand(like.shape)
            names[statement.target] = value
        return {statement.target: names[statement.target] for statement in self.statements}


def _is_spike(tree: ast.expr) -> bool:
    return isinstance(tree, ast.Call) and called_name(tree) in _MarkSpikes.NAMES.values()


def _detach(spike: Any) -> Any:
    return spike.detach() if isinstance(spike, Tensor) else spike
