"""The text of a model as LaTeX, in the order in which it is written.

Walks the syntax tree of each expression; sympy would sort the terms and lose the sense of a line.
"""

from __future__ import annotations

import ast

from dendrosim.model.expressions import Expression
from dendrosim.model.model import Model
from dendrosim.model.quantities import UNITS

GREEK = {
    "alpha", "beta", "gamma", "delta", "theta", "kappa", "rho", "sigma", "tau", "phi", "chi",
    "omega", "pi",
}  # fmt: skip
SPOKEN = {"inf": r"\infty"}
COMPARISONS = {
    ast.Gt: ">", ast.GtE: r"\ge", ast.Lt: "<", ast.LtE: r"\le", ast.Eq: "=", ast.NotEq: r"\ne",
}  # fmt: skip
#: How strongly an operator binds, to know where brackets are needed.
STRENGTH = {ast.Add: 1, ast.Sub: 1, ast.Mult: 2, ast.Div: 2, ast.Mod: 2, ast.Pow: 4}
WHOLE = 5


def equations(model: Model) -> str:
    """Return the lines of a model as an aligned block."""
    if model.kind == "discrete":
        rows = [(symbol(s.target), r"\leftarrow", latex(s.expression)) for s in model.update]
        rows += [(symbol(name), "=", latex(e)) for name, e in model.derived.items()]
    else:
        rows = [(_left(e.kind, e.name), "=", latex(e.expression)) for e in model.equations
                if e.expression is not None]  # fmt: skip
    lines = [rf"{left} &{sign} {right}" for left, sign, right in rows]
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def latex(expression: Expression) -> str:
    """Return an expression as LaTeX."""
    return _write(expression.tree)[0]


def symbol(name: str) -> str:
    r"""Return a name as a symbol.

    >>> symbol("g_NaP"), symbol("alpha_c_low"), symbol("m_inf")
    ('g_{\\mathrm{NaP}}', '\\alpha_{c,\\mathrm{low}}', 'm_{\\infty}')
    """
    head, *tail = name.split("_")
    head = _word(head)
    return f"{head}_{{{','.join(map(_word, tail))}}}" if tail else head


def _left(kind: str, name: str) -> str:
    return rf"\frac{{d{symbol(name)}}}{{dt}}" if kind == "differential" else symbol(name)


def _word(word: str) -> str:
    if word in GREEK:
        return f"\\{word}"
    if len(word) > 1 and not word.isdigit():
        return SPOKEN.get(word, rf"\mathrm{{{word}}}")
    return word


def _number(value: float) -> str:
    mantissa, _, power = f"{value:g}".partition("e")
    return rf"{mantissa} \cdot 10^{{{int(power)}}}" if power else mantissa


def _write(node: ast.AST) -> tuple[str, int]:
    """Return the LaTeX of a node and how strongly it is held together."""
    match node:
        case ast.Constant(value=value):
            return _number(value), WHOLE
        case ast.Name(id=name):
            return (rf"\mathrm{{{name}}}" if name in UNITS else symbol(name)), WHOLE
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return rf"\neg {_held(operand, WHOLE)}", 3
        case ast.UnaryOp(op=op, operand=operand):
            sign = "-" if isinstance(op, ast.USub) else ""
            return f"{sign}{_held(operand, 2)}", 2 if isinstance(operand, ast.Constant) else 1
        case ast.BoolOp(op=op, values=values):
            sign = r" \wedge " if isinstance(op, ast.And) else r" \vee "
            return sign.join(_held(value, 1) for value in values), 0
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return f"{_held(left, 1)} {COMPARISONS[type(op)]} {_held(right, 1)}", 0
        case ast.Call(func=ast.Name(id=name), args=args):
            return _call(name, args)
        case ast.BinOp(left=left, op=op, right=right):
            return _binary(left, op, right)
    raise TypeError(f"{ast.dump(node)} is not of the language of models")


def _binary(left: ast.AST, op: ast.operator, right: ast.AST) -> tuple[str, int]:
    strength = STRENGTH[type(op)]
    match op:
        case ast.Div() if isinstance(right, ast.Name) and right.id in UNITS:
            return rf"{_held(left, 2)}\,\mathrm{{{right.id}}}^{{-1}}", 2
        case ast.Div():
            return rf"\frac{{{_write(left)[0]}}}{{{_write(right)[0]}}}", WHOLE - 1
        case ast.Pow():
            return f"{_held(left, WHOLE)}^{{{_write(right)[0]}}}", strength
        case ast.Mult():
            numbers = isinstance(left, ast.Constant) and isinstance(right, ast.Constant)
            sign = r" \cdot " if numbers else r"\,"
            return f"{_held(left, strength)}{sign}{_held(right, strength + 1)}", strength
        case ast.Mod():
            return rf"{_held(left, strength)} \bmod {_held(right, strength + 1)}", strength
    sign = "+" if isinstance(op, ast.Add) else "-"
    return f"{_held(left, strength)} {sign} {_held(right, strength + (sign == '-'))}", strength


def _call(name: str, args: list[ast.expr]) -> tuple[str, int]:
    inner = ",\\, ".join(_write(arg)[0] for arg in args)
    if name == "int":  # 1 where it is true, else 0 (Iverson)
        return rf"\left[{inner}\right]", WHOLE
    if name == "abs":
        return rf"\left|{inner}\right|", WHOLE
    if name == "sqrt":
        return rf"\sqrt{{{inner}}}", WHOLE
    known = {"exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh"}
    head = rf"\{name}" if name in known else rf"\operatorname{{{name}}}"
    return rf"{head}\!\left({inner}\right)", WHOLE


def _held(node: ast.AST, strength: int) -> str:
    text, own = _write(node)
    return text if own >= strength else rf"\left({text}\right)"
