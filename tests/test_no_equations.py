"""Law: no equation of any model stands in the package; the text of a model is the model.

The right-hand sides of every shipped model and of its variants are looked for in the code of
`dendrosim`, and in its strings, in three ways: as text; in parts (products of names, numbers that
nobody writes by chance); and, for the longer ones, by structure, whatever the names are.  Comments
and docstrings may quote equations.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from functools import cache

import pytest
from places import ROOT

import dendrosim as ds
from dendrosim import shelves
from dendrosim.model.expressions import Expression
from dendrosim.model.model import Model
from dendrosim.model.syntax import CONSTANTS, FUNCTIONS

PACKAGE = ROOT / "dendrosim"
MODELS = sorted(shelves.names("models"))


def expressions(model: Model) -> Iterator[str]:
    """Yield every expression of a model, its variants included."""
    for one in (model, *(model.variant(name) for name in model.variants)):
        statements = (*one.update, *one.reset)
        parts = [
            *(e.expression for e in one.equations if e.expression),
            *(s.expression for s in statements), *one.derived.values(), one.threshold,
        ]  # fmt: skip
        yield from (part.text for part in parts if isinstance(part, Expression))


def flat(text: str) -> str:
    """Return text without white space."""
    return re.sub(r"\s+", "", text)


def names_of(tree: ast.AST) -> list[str]:
    """Return the variables of an expression, each as often as it is read."""
    called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    return [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called]


def rare(number: float | int) -> bool:
    """Whether a number has three significant digits and a point: 18.975, 57.7, not 0.5 or 100."""
    digits = repr(number).replace(".", "").strip("0")
    return isinstance(number, float) and len(digits) >= 3 and not number.is_integer()


class Sought:
    """What must not be found, from a list of expressions."""

    def __init__(self, texts: list[str]) -> None:
        self.texts: set[str] = set()  # whole right-hand sides and products of names, flat
        self.numbers: set[float] = set()
        self.shapes: set[str] = set()
        for text in texts:
            tree = ast.parse(text, mode="eval").body
            if len(set(names_of(tree))) >= 2:
                self.texts |= {flat(text), flat(ast.unparse(tree))}
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and rare(node.value):
                    self.numbers.add(node.value)
                if (product := product_of_names(node)) is not None:
                    self.texts.add(product)
            if (shape := shape_of(tree)) is not None:
                self.shapes.add(shape)

    def found_in(self, source: str) -> list[str]:
        """Return what of it a module holds, docstrings and comments apart."""
        snippets, numbers, shapes = held_by(source)
        texts = "|".join(map(re.escape, sorted(self.texts, key=len, reverse=True)))
        whole = re.compile(rf"(?<![\w.])(?:{texts})(?![\w(])")
        found = {text for snippet in snippets for text in whole.findall(snippet)}
        found |= {repr(number) for number in self.numbers & numbers}
        found |= {shapes[shape] for shape in self.shapes & shapes.keys()}
        return sorted(found)


@cache
def held_by(source: str) -> tuple[list[str], set[float], dict[str, str]]:
    """Return the flat text of a module and of its strings, its numbers, and shape to text."""
    tree = without_docstrings(ast.parse(source))
    texts = strings(tree)
    trees = [tree, *(t for text in texts for t in parsed(text))]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    numbers = {n.value for n in nodes if isinstance(n, ast.Constant) and type(n.value) is float}
    shapes = {shape_of(n): ast.unparse(n) for n in nodes if isinstance(n, ast.BinOp)}
    shapes.pop(None, None)
    return [flat(ast.unparse(tree)), flat(code_of(source)), *map(flat, texts)], numbers, shapes


def product_of_names(node: ast.AST) -> str | None:
    """Return ``a*b`` where a node is the product of two variables that are more than a letter."""
    match node:
        case ast.BinOp(left=ast.Name(id=a), op=ast.Mult(), right=ast.Name(id=b)):
            return f"{a}*{b}" if max(len(a), len(b)) > 1 else None
    return None


def shape_of(tree: ast.AST) -> str | None:
    """Return an expression with its variables numbered in order, None for one that is short."""
    if len(set(names_of(tree))) < 5:
        return None
    numbers: dict[str, str] = {}

    class Renamed(ast.NodeTransformer):
        def visit_Name(self, node):
            known = node.id in {*FUNCTIONS, *CONSTANTS, "sigmoid"}
            return ast.Name(node.id if known else numbers.setdefault(node.id, f"v{len(numbers)}"))

        def visit_Attribute(self, node):  # self.beta, p["beta"]: what they are called is the name
            return self.visit_Name(ast.Name(node.attr))

        def visit_Subscript(self, node):
            return self.visit_Name(ast.Name(ast.unparse(node)))

    return ast.unparse(Renamed().visit(ast.parse(ast.unparse(tree), mode="eval").body))


def without_docstrings(tree: ast.AST) -> ast.AST:
    """Drop every string that stands as a statement of its own."""
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [
                s for s in body
                if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)
                        and isinstance(s.value.value, str))
            ] or [ast.Pass()]  # fmt: skip
    return tree


def strings(tree: ast.AST) -> list[str]:
    return [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and type(n.value) is str]


def parsed(text: str) -> list[ast.AST]:
    """Return the lines of a string that are Python expressions or assignments."""
    trees = []
    for line in text.splitlines():
        try:
            trees.append(ast.parse(line.partition(" : ")[0].rpartition("= ")[2].strip()))
        except (SyntaxError, ValueError):
            continue
    return trees


def code_of(source: str) -> str:
    """Return the tokens of a module but comments and strings, in one line."""
    lines = iter(source.splitlines(keepends=True))
    tokens = tokenize.generate_tokens(lambda: next(lines, ""))
    return "".join(t.string for t in tokens if t.type not in (tokenize.COMMENT, tokenize.STRING))


@pytest.mark.parametrize("name", MODELS)
def test_no_module_holds_an_equation_of_this_model(name):
    sought = Sought(list(expressions(ds.load_model(name))))
    assert sought.texts
    found = {
        str(path.relative_to(PACKAGE)): found
        for path in sorted(PACKAGE.rglob("*.py"))
        if (found := sought.found_in(path.read_text(encoding="utf-8")))
    }
    assert found == {}


TOLD = [
    ("u = beta * U - V_th*S + I", "beta*U-V_th*S+I"),
    ("u = beta*(U) - (V_th * S) + I  # eq. 1", "beta*U-V_th*S+I"),
    ("code = 'U_D = alpha_1*U_D + beta_1*U_S + I - gamma*S'", "alpha_1*U_D"),
    ("code = f'{target} = beta_1 * U_S'", "beta_1*U_S"),
    ("def f():\n    'Docstring.'\n    return '''\nU = beta*U - V_th*S + I\n'''", "beta*U"),
    ("I_NaP = g_NaP*l_inf**3 * (E_Na - v_d)", "g_NaP*l_inf**3*(E_Na-v_d)"),
    ("rate = low/18.975", "18.975"),
    ("gate = 1/(1 + np.exp(-(v + 57.7)/7.7))", "57.7"),
    ("a = 1.28*(v + 46.9)", "46.9"),
    ("u = decay*u - theta*s + current", "decay * u - theta * s + current"),
    ("u = self.beta*u - self.theta*last['S'] + x[t]", "last['S']"),
    ("text = 'u = d*u - theta*s + w'", "d * u - theta * s + w"),
]


@pytest.fixture(scope="module")
def everything():
    """Return what is sought of all models at once."""
    return Sought([text for name in MODELS for text in expressions(ds.load_model(name))])


@pytest.mark.parametrize(("source", "told"), TOLD)
def test_a_planted_equation_is_told(everything, source, told):
    assert any(told in found for found in everything.found_in(source))


def test_what_is_allowed_is_not_told(everything):
    source = '''
def reset(x):
    """Return U = beta*U - V_th*S + I, eq. 1; 18.975."""
    # U_D = alpha_1*U_D + beta_1*U_S + I - gamma*S
    return 0.5*x + n*n_in - offset*(k + 1), "beta", (1.4, 100, 7.25)
'''
    assert everything.found_in(source) == []


def test_what_is_sought_is_much(everything):
    assert {"beta_1*U_S", "V_th*S", "g_NaP*l_inf**3*(E_Na-v_d)"} <= everything.texts
    assert {18.975, 57.7, 46.9, 0.128} <= everything.numbers
    assert len(everything.texts) > 100
    assert len(everything.shapes) > 10
