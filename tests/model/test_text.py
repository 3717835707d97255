"""Model text: accepted text is arithmetic with Python's meaning; everything else is refused."""

import contextlib
import re
import time

import numpy as np
import pytest
from brian2 import DEFAULT_UNITS
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import exprel

from dendrosim.errors import DendrosimError
from dendrosim.model.expressions import (
    check_names,
    join_lines,
    parse_condition,
    parse_expression,
    parse_number,
    parse_statements,
)
from dendrosim.model.names import is_name
from dendrosim.model.syntax import FUNCTIONS
from dendrosim.model.whitelist import MAX_DEPTH

VALUES = {
    "a": np.array([-2.5, -1.0, 0.0, 0.5, 3.0]),
    "b": np.array([1.5, -0.25, 2.0, 0.0, -3.0]),
    "c_1": np.array([0.1, 0.1, 7.0, -4.0, 1e-3]),
}
# one argument each, with the meaning in numpy and scipy, deliberately written a second time
CALLED = {
    "exp": np.exp, "log": np.log, "log10": np.log10, "sqrt": np.sqrt, "sin": np.sin,
    "cos": np.cos, "tan": np.tan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "arcsin": np.arcsin, "arccos": np.arccos, "arctan": np.arctan, "abs": np.abs,
    "sign": np.sign, "floor": np.floor, "ceil": np.ceil, "exprel": exprel,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}  # fmt: skip

LITERALS = st.integers(0, 20).map(str) | st.sampled_from(["0.5", "2.", ".25", "1e-3", "3e2"])


def numbers(inner):
    """Pairs of model text and the equivalent Python text for arrays."""
    number, condition = inner
    pair = st.tuples(number, number)
    return st.one_of(
        st.tuples(pair, st.sampled_from(["+", "-", "*", "/", "%", "**"])).map(_binary),
        st.tuples(number, st.sampled_from("-+")).map(
            lambda x: tuple(f"({x[1]}{side})" for side in x[0])
        ),
        st.tuples(number, st.sampled_from(sorted(CALLED))).map(
            lambda x: tuple(f"{x[1]}({side})" for side in x[0])
        ),
        st.tuples(number, number, number).map(
            lambda x: tuple(f"clip({x[0][k]}, {x[1][k]}, {x[2][k]})" for k in (0, 1))
        ),
        condition.map(lambda x: (f"int({x[0]})", f"np.where({x[1]}, 1.0, 0.0)")),
    )


def _binary(made):
    (left, right), operator = made
    return tuple(f"({left[k]} {operator} {right[k]})" for k in (0, 1))


def conditions(inner):
    number, condition = inner
    compared = st.tuples(
        st.tuples(number, number), st.sampled_from([">", ">=", "<", "<=", "==", "!="])
    ).map(_binary)
    pair = st.tuples(condition, condition)
    return st.one_of(
        compared,
        condition.map(lambda x: (f"(not {x[0]})", f"np.logical_not({x[1]})")),
        pair.map(lambda x: (f"({x[0][0]} and {x[1][0]})", f"np.logical_and({x[0][1]}, {x[1][1]})")),
        pair.map(lambda x: (f"({x[0][0]} or {x[1][0]})", f"np.logical_or({x[0][1]}, {x[1][1]})")),
    )


def texts(depth):
    """Strategies of numbers and of conditions, nested to a depth."""
    number = LITERALS.map(lambda t: (t, t)) | st.sampled_from([(n, n) for n in VALUES])
    condition = st.sampled_from([("True", "True"), ("a > b", "(a > b)")])
    for _ in range(depth):
        inner = (number, condition)
        number, condition = number | numbers(inner), condition | conditions(inner)
    return number, condition


NUMBER, CONDITION = texts(3)


def python(text):
    """Evaluate with Python's arithmetic on numpy's floats."""
    scope = {"np": np, "clip": np.clip, **CALLED, **VALUES, "__builtins__": {}}
    return eval(text, scope)


def same(text, meant):
    """Compare our evaluation with Python's; skip texts that are refused because of a number."""
    try:
        expression = parse_expression(text)
    except DendrosimError as error:
        assert re.search("out of range|divides by 0|to a negative power", str(error)), str(error)
        return None
    with np.errstate(all="ignore"):
        expected = np.asarray(python(meant))
        found = np.asarray(expression(VALUES))
        assert_allclose(*np.broadcast_arrays(found, expected), rtol=1e-13)
    return expression


@settings(max_examples=300)
@given(NUMBER)
def test_a_number_is_what_python_makes_of_it(pair):
    expression = same(*pair)
    assert expression is None or not expression.is_condition


@settings(max_examples=200)
@given(CONDITION)
def test_a_condition_is_what_python_makes_of_it(pair):
    expression = same(*pair)
    assert expression is None or expression.is_condition


@given(NUMBER)
def test_renaming_changes_names_and_nothing_else(pair):
    with contextlib.suppress(DendrosimError):
        expression = parse_expression(pair[0])
        renamed = expression.renamed({"a": "x_1", "b": "c_1", "c_1": "b"})
        swapped = {"x_1": VALUES["a"], "c_1": VALUES["b"], "b": VALUES["c_1"]}
        assert renamed.names == {{"a": "x_1", "b": "c_1", "c_1": "b"}[n] for n in expression.names}
        with np.errstate(all="ignore"):
            assert_array_equal(renamed(swapped), expression(VALUES))


def test_a_name_may_become_a_call():
    text = parse_expression("2*samples + a").renamed({"samples": "noise(t, i)"}).text
    assert text == "2 * noise(t, i) + a"


def test_precedence_survives_renaming():
    expression = parse_expression("-(a + b)**2/(c_1*(a - b))")
    assert_allclose(
        expression.renamed({"a": "q"})({**VALUES, "q": VALUES["a"]}), expression(VALUES)
    )


def test_names_leave_functions_out():
    expression = parse_expression("exp(-a/b) + int(c_1 > pi)*sigmoid(a)")
    assert expression.names == {"a", "b", "c_1", "pi"}
    assert parse_expression("pi + e")({}) == np.pi + np.e


def test_sigmoid_is_written_out():
    expression = parse_expression("2*sigmoid(sigmoid(a) - b)")
    assert "sigmoid" not in expression.text
    inner = 1 / (1 + np.exp(-VALUES["a"])) - VALUES["b"]
    assert_allclose(expression(VALUES), 2 / (1 + np.exp(-inner)), rtol=1e-15)


def test_text_is_one_line_without_comments():
    assert parse_expression("a > 1  # the first").text == "a > 1"
    assert parse_expression("(a   # the first\n + b)  # the second").text == "(a + b)"


def test_every_function_is_called_by_the_property_test():
    assert set(FUNCTIONS) - {"int", "clip"} == set(CALLED) - {"sigmoid"}


def test_other_arrays_and_functions_may_be_walked_with():
    calls = []
    functions = {**FUNCTIONS, "exp": lambda x: calls.append(x) or x}
    assert parse_expression("exp(a) + 1")({"a": 3.0}, functions) == 4.0
    assert calls == [3.0]


DEEP = "(" * 150 + "a" + ")" * 150
BAD = [
    ("", "not an expression"),
    ("a +", "not an expression"),
    ("a b", "not an expression"),
    ("a = b", "not an expression"),
    ("a; b", "not an expression"),
    ("a\0", "not an expression"),
    ("a \\\n + b", "not an expression"),
    ("(" * 5000, "not an expression"),
    ("a := 1", "not an expression"),
    ("(a := 1)", "other than arithmetic"),
    ("__import__('os').system('true')", "not a function|other than arithmetic"),
    ("__import__", "other than arithmetic"),
    ("a__b", "other than arithmetic"),
    ("eval(a)", "'eval'"),
    ("open(a)", "'open'"),
    ("rand()", "'rand'"),
    ("a(b)", "'a'"),
    ("exp(a)(b)", "other than arithmetic"),
    ("exp", None),  # a valid name here; names are checked later
    ("exp()", "exp takes 1"),
    ("exp(a, b)", "exp takes 1"),
    ("exp(x=a)", "not a function|other than"),
    ("exp(*a)", "other than arithmetic"),
    ("clip(a, 0)", "clip takes 3"),
    ("int(a > b, 2)", "int takes 1"),
    ("a.real", "other than arithmetic"),
    ("a[0]", "other than arithmetic"),
    ("[a]", "other than arithmetic"),
    ("(a, b)", "other than arithmetic"),
    ("{a}", "other than arithmetic"),
    ("'a'", "other than arithmetic"),
    ("b'a'", "other than arithmetic"),
    ("f'{a}'", "other than arithmetic"),
    ("1j", "other than arithmetic"),
    ("...", "other than arithmetic"),
    ("None", "other than arithmetic"),
    ("lambda: a", "other than arithmetic"),
    ("a if b > 0 else c_1", "other than arithmetic"),
    ("[x for x in a]", "other than arithmetic"),
    ("(yield)", "other than arithmetic"),
    ("await a", "other than arithmetic|not an expression"),
    ("a @ b", "other than arithmetic"),
    ("a // b", "other than arithmetic"),
    ("a << 2", "other than arithmetic"),
    ("a & b", "other than arithmetic"),
    ("~a", "other than arithmetic"),
    ("a < b < c_1", "other than arithmetic"),
    ("a in b", "other than arithmetic"),
    ("a is b", "other than arithmetic"),
    # arithmetic with true and false differs between numpy and C++
    ("(a > b) + (b > a)", "not a number"),
    ("-(a > b)", "not a number"),
    ("True*a", "not a number"),
    ("exp(a > b)", "not a number"),
    ("(a > b) > 0", "not a number"),
    ("not a", "not a condition"),
    ("a and b > 0", "not a condition"),
    ("int(a)", "not a condition"),
    # Brian2 would evaluate these with Python's integers
    ("9**9**9**9", "out of range"),
    ("a**9**9**9", "out of range"),
    ("2**99999999", "out of range"),
    ("2**60", "out of range"),
    ("1e999", "out of range"),
    ("9" * 20, "out of range"),
    ("9" * 1000, "out of range"),
    ("9" * 5000, "out of range|not an expression"),
    ("(-8)**0.5", "out of range"),
    ("0.0**-1", "out of range"),
    ("10**-2*a", "negative power; write a decimal point"),  # 0 in Brian2
    ("exp(1000)*a", "out of range"),
    ("log(0)", "out of range"),
    ("1/0", "out of range"),
    ("a/0", "divides by 0"),
    ("a % (1 - 1)", "divides by 0"),
    # letters that Python normalises to others
    ("ｅｘｐ(a)", "not ASCII"),
    ("𝐚 + b", "not ASCII"),
    ("＿＿import＿＿", "not ASCII"),
    ("a − b", "not ASCII"),
    # size
    ("exp(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1), "nested"),
    ("-" * 3000 + "a", "nested|not an expression"),
    ("+".join(["a"] * 4000), "nested|not an expression"),
    ("a + " * 5000 + "a", "too long"),
    (5, "written as text"),
    (None, "written as text"),
    (["a"], "written as text"),
]


@pytest.mark.parametrize(("text", "told"), BAD, ids=[str(t)[:30] for t, _ in BAD])
def test_anything_else_is_refused(text, told):
    if told is None:
        with pytest.raises(DendrosimError, match="not known"):
            check_names(parse_expression(text), VALUES)
        return
    with pytest.raises(DendrosimError, match=told) as error:
        parse_expression(text, "file: key")
    assert str(error.value).startswith("file: key")


def test_parentheses_are_not_depth():
    assert parse_expression(DEEP)(VALUES) is VALUES["a"]


@given(st.text(alphabet="ab01.+-*/%()<>=!, intexplog_#\n", max_size=60))
def test_no_text_raises_anything_else(text):
    with contextlib.suppress(DendrosimError):
        parse_expression(text)


def test_a_number_is_no_condition_and_the_other_way_round():
    assert parse_condition("a > b or not a < 0").is_condition
    assert not parse_number("int(a > b)").is_condition
    with pytest.raises(DendrosimError, match="'a' is a number, not a condition"):
        parse_condition("a")
    with pytest.raises(DendrosimError, match="'a > b' is a condition, not a number"):
        parse_number("a > b")


def test_an_unknown_name_is_told_with_its_neighbour():
    with pytest.raises(DendrosimError, match=re.escape("did you mean 'g_NaP'?")):
        check_names(parse_expression("2*g_NaT"), {"g_NaP", "v"})
    check_names(parse_expression("pi*v"), {"v"})


class TestStatements:
    def test_lines_comments_and_open_parentheses(self):
        statements = parse_statements("""
        U = (a   # eq. 1
             + b)

        S = int(U > 1)  # eq. 2
        """)
        assert [s.text for s in statements] == ["U = (a + b)", "S = int(U > 1)"]

    @pytest.mark.parametrize(
        "text",
        ["U", "U == 1", "U += 1", "1 = U", "U = ", "U, S = 1", "U.x = 1", "U = 1\nU = 2",
         "U = a > b", "exp = 1", "t = 1", "mV = 1", "for = 1", "U = 1; S = 2", "U := 1", 5, None],
    )  # fmt: skip
    def test_anything_else_is_refused(self, text):
        with pytest.raises(DendrosimError):
            parse_statements(text)

    def test_more_lines_than_any_model_has(self):
        with pytest.raises(DendrosimError, match="lines"):
            parse_statements("\n".join(f"x_{k} = 1" for k in range(1001)))

    def test_a_long_text_takes_no_quadratic_time(self):
        began = time.perf_counter()
        assert len(join_lines("(\n" + "a\n" * 300_000)) == 1
        assert time.perf_counter() - began < 5


GOOD = ["v_s", "I", "C", "E", "S", "beta_1", "gamma", "Ca", "s", "m", "h", "U_D", "x2", "ds"]
TAKEN = [
    "", "2x", "_x", "x_", "a__b", "a b", "é", "ｖ", "x" * 61, "x\n",
    "t", "dt", "i", "N", "xi", "xi_1", "N_pre", "v_post", "source", "lastspike", "not_refractory",
    "refractory",
    "t_in_timesteps", "variables",  # Brian2
    "exp", "int", "clip", "sigmoid", "rand", "timestep", "pi", "e", "inf",  # functions, constants
    "mV", "second", "volt", "mS", "amp",  # units
    "for", "lambda", "print", "max", "id", "input", "True",  # Python
    "double", "new", "class", "register", "bool", "auto", "xor", "errno", "NULL", "std",  # C++
    "time", "neuron", "spike_time",  # a recording
    "stimulus_0", "run_dt",  # a plan
    None, 5,
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_plain_name_is_a_name(name):
    assert is_name(name)


@pytest.mark.parametrize("name", TAKEN)
def test_what_something_owns_is_no_name(name):
    assert not is_name(name)


def test_no_unit_is_a_name():
    assert not any(map(is_name, DEFAULT_UNITS))
