"""The text of a model is the model: no equation of one stands in the package's source."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path

import dendrosim as ds
from dendrosim import library

PACKAGE = Path(ds.__file__).parent


def bare(text: str) -> str:
    return re.sub(r"\s+", "", text)


@lru_cache
def right_sides() -> dict[str, str]:
    """Right-hand sides of every shipped model that say something, without white space."""
    found = {}
    for name in library.names("models"):
        model = ds.load_model(name)
        for part in [model, *(model.variant(v) for v in model.variants)]:
            expressions = [e.expression for e in part.equations if e.expression]
            expressions += [s.expression for s in part.update]
            expressions += list(part.derived.values())
            for expression in expressions:
                if len(expression.names) >= 2 and len(expression.text) >= 12:
                    found[bare(expression.text)] = part.name
    return found


@lru_cache
def fragments() -> set[str]:
    """Numbers that only the equations of a model have: three digits or more, with a point."""
    texts = [
        e.expression.text
        for name in library.names("models")
        for e in ds.load_model(name).equations
        if e.expression
    ]
    numbers = {n for text in texts for n in re.findall(r"\d+\.\d+", text)}
    return {n for n in numbers if len(n.replace(".", "").strip("0")) >= 3}


def code_of(source: str) -> str:
    """The source without docstrings and comments: what a program could run or hand on."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [
                child for child in body
                if not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant))
            ] or [ast.Pass()]  # fmt: skip
    return ast.unparse(tree)


def equations_in(source: str) -> list[str]:
    code = code_of(source)
    text = bare(code)
    found = [f"{model}: {side}" for side, model in right_sides().items() if side in text]
    numbers = set(re.findall(r"(?<![\w.])\d+\.\d+(?![\w.])", code))
    return found + sorted(numbers & fragments())


def test_no_equation_stands_in_the_package():
    for path in sorted(PACKAGE.rglob("*.py")):
        assert equations_in(path.read_text()) == [], path


def test_a_planted_equation_is_found():
    assert len(right_sides()) > 60 and {"18.975", "57.7", "46.9"} <= fragments()
    assert equations_in('x = "U_D + beta_1 * U_S + I - gamma*S"')
    assert equations_in("def f(v):\n    return 1/(1 + exp(-(v + 57.7)/7.7))")
    assert equations_in(
        "def f(alpha_h, beta_h, phi, h):\n    return phi*(alpha_h*(1 - h) - beta_h*h)"
    )
    assert equations_in('"""U_D = U_D + beta_1*U_S + I - gamma*S"""') == []
