"""The equations of a continuous model: three forms of a line, consistent units, no cycles."""

import re
import time

import pytest
from brian2 import Equations

from dendrosim.errors import DendrosimError
from dendrosim.model.equations import check_equations, in_order, override, parse_equations
from dendrosim.model.quantities import parse_unit

TEXT = """
# a comment
dv/dt = (g*(E - v)      # the leak,
         + I_s)/C : volt
dw / dt = -w/(5*ms)     : 1
a = exp(-v/(3*mV))
    *w                  : 1
b = 2*a : 1 (constant over dt)
I_s : amp/meter**2
"""
GIVEN = {name: parse_unit(u).dim for name, u in [("g", "S/m**2"), ("E", "mV"), ("C", "F/m**2")]}


def test_the_three_forms_of_a_line():
    equations = parse_equations(TEXT)
    assert [(e.kind, e.name, e.unit, e.flag) for e in equations] == [
        ("differential", "v", "volt", None),
        ("differential", "w", "1", None),
        ("subexpression", "a", "1", None),
        ("subexpression", "b", "1", "constant over dt"),
        ("input", "I_s", "amp/meter**2", None),
    ]
    assert equations[0].expression.names == {"g", "E", "v", "I_s", "C"}
    assert equations[2].expression.text == "exp(-v/(3*mV)) *w"
    assert equations[4].expression is None


def test_the_text_is_what_brian2_reads():
    read = Equations("\n".join(e.text for e in parse_equations(TEXT)))
    assert read.diff_eq_names == {"v", "w"}
    assert read.subexpr_names == {"a", "b"}
    assert read["b"].flags == ["constant over dt"]
    assert read["v"].dim is parse_unit("volt").dim


def test_a_prefixed_unit_of_a_variable_is_its_dimension():
    (equation,) = parse_equations("I : uA/cm**2")
    assert equation.text == "I : amp/meter**2"


def test_units_names_and_order_are_checked():
    equations = parse_equations(TEXT)
    dims = check_equations(equations, GIVEN)
    assert dims["v"] is dims["mV"] is parse_unit("volt").dim
    assert [e.name for e in in_order(parse_equations("y = x : 1\nx = z : 1\nz = 2 : 1"))] == [
        "z", "x", "y",
    ]  # fmt: skip


def test_constants_are_known():
    check_equations(parse_equations("dx/dt = pi*e*x/second : 1"), {})


def test_override_puts_a_line_in_its_namesake_s_place():
    equations = parse_equations("a = 1 : 1\nb = 2 : 1\nc = 3 : 1")
    changed = override(equations, parse_equations("b = 5 : 1\nd = 6 : 1"))
    assert [e.text for e in changed] == ["a = 1 : 1", "b = 5 : 1", "c = 3 : 1", "d = 6 : 1"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("x = 1", "is not 'dv/dt = expression : unit'"),
        ("x", "is not 'dv/dt"),
        (": 1", "is not 'dv/dt"),
        ("x : 1 : 1", "is not 'dv/dt"),
        ("d2x/dt2 = 1 : 1", "is not 'dv/dt"),
        ("dx/dy = 1 : 1", "is not 'dv/dt"),
        ("x == 1 : 1", "is not 'dv/dt"),
        ("x = : 1", "is not an expression"),
        ("x = 1 : furlong", "'furlong'"),
        ("x = 1 : boolean", "'boolean'"),
        ("x = 1 : 1 (shared)", "unknown flag 'shared'"),
        ("dx/dt = x/ms : 1 (constant over dt)", "unknown flag"),
        ("x : 1 (constant over dt)", "unknown flag"),
        ("x = 1 : 1\nx = 2 : 1", "'x' is defined twice"),
        ("x = 1 : 1\ndx/dt = 2/ms : 1", "'x' is defined twice"),
        ("dt/dt = 1 : second", "'t' cannot be the name"),
        ("mV = 1 : 1", "'mV' cannot be the name"),
        ("double = 1 : 1", "'double' cannot be the name"),
        ("é = 1 : 1", "cannot be the name"),
        ("x = y > 1 : 1", "is a condition"),
        ("x = __import__('os') : 1", "not a function"),
        ("x = 1 # : 1", "is not 'dv/dt"),
        ("x = lambda: 1 : 1", "is not 'dv/dt"),
    ],
)
def test_other_lines_are_refused(line, told):
    with pytest.raises(DendrosimError, match=re.escape(told)) as error:
        parse_equations(line, "file: equations")
    assert str(error.value).startswith("file: equations")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = y : 1", "'y' in 'y' is not known"),
        ("x = x_1 : 1\nx_1 = x : 1", "x and x_1 depend on each other in a circle"),
        ("x = x : 1", "x depends on itself"),
        ("x = 1*mV : 1", "'1*mV' has the unit volt, but no unit is needed"),
        ("x = 1 : volt", "has no unit, but the unit volt is needed"),
        ("dx/dt = 1*mV : volt", "has the unit volt, but the unit volt/second is needed"),
        ("x = 1*mV + 1*ms : volt", "equation of x"),
        ("x = exp(1*mV) : 1", "equation of x"),
        ("x = clip(g, 0, 1) : 1", "equation of x"),
        ("x = (2*mV)**x_1 : 1\nx_1 = 2 : 1", "equation of x"),
        ("x = xi*second**0.5 : 1", "'xi'"),
        ("x = lastspike : second", "'lastspike'"),
    ],
)
def test_what_does_not_agree_is_told(text, told):
    with pytest.raises(DendrosimError, match=re.escape(told)):
        check_equations(parse_equations(text), GIVEN)


def test_subexpressions_that_double_are_refused_before_they_fill_the_memory():
    lines = ["x_0 = t/second : 1", *(f"x_{k} = x_{k - 1}*x_{k - 1} : 1" for k in range(1, 60))]
    with pytest.raises(DendrosimError, match="written out"):
        check_equations(parse_equations("\n".join(lines)), {})
    chain = ["x_0 = t/second : 1", *(f"x_{k} = 2*x_{k - 1} : 1" for k in range(1, 60))]
    check_equations(parse_equations("\n".join(chain)), {})


@pytest.mark.parametrize(
    "text",
    [
        "x\n" * 40_000, "x = " + " " * 200_000 + ";", "(\n" + "x\n" * 100_000,
        "x = a" + "<=" * 100_000, "\n".join(f"x_{k} = 1 : 1" for k in range(40_000)),
        "x : " + "m " * 100_000,
    ],
    ids=["lines", "blanks", "open", "signs", "many", "unit"],
)  # fmt: skip
def test_a_hostile_text_is_refused_in_linear_time(text):
    began = time.perf_counter()
    with pytest.raises(DendrosimError):
        parse_equations(text)
    assert time.perf_counter() - began < 3
