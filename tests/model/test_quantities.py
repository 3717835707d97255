"""Numbers with units: valid text is read exactly, everything else is refused."""

import contextlib
import re

import brian2
import numpy as np
import pytest
from brian2.units.fundamentalunits import get_or_create_dimension
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from dendrosim.errors import MAX_MESSAGE, DendrosimError
from dendrosim.model.quantities import (
    UNITS,
    describe,
    display_unit,
    parse_unit,
    quantity,
    unit_text,
)

NUMBERS = st.floats(1e-12, 1e12) | st.floats(-1e12, -1e-12) | st.just(0.0)
SHORT = st.decimals(-9999, 9999, places=4).map(float)
WRITTEN = st.sampled_from(
    ["", "mV", "ms", "uA/cm**2", "mS/cm**2", "uF/cm**2", "Hz", "1/ms", "cm**2/uA/ms", "ohm*cm**2"]
)


@pytest.mark.parametrize(
    ("text", "si", "unit"),
    [
        ("2.1 mS/cm**2", 21.0, "siemens/meter**2"),
        ("-60 mV", -0.06, "volt"),
        ("-60*mV", -0.06, "volt"),
        ("  0.5  ", 0.5, "1"),
        (".5e-3 second", 5e-4, "second"),
        ("5 s", 5.0, "second"),
        ("3 /ms", 3000.0, "hertz"),
        ("0.075 1/ms", 75.0, "hertz"),
        ("1 uF/cm**2", 0.01, "farad/meter**2"),
        ("0.13 cm**2/uA/ms", 13000.0, "meter**2*second**-1*amp**-1"),
        ("1 mV**-2*(mV**3)", 1e-3, "volt"),
    ],
)
def test_a_text_is_a_number_times_its_unit(text, si, unit):
    value = quantity(text)
    assert value.ndim == 0
    assert_allclose(float(value), si, rtol=1e-15)
    assert unit_text(value) == unit


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("linspace(0, 2, 41) uA/cm**2", np.linspace(0, 2, 41) * 0.01),
        ("logspace(-1, 2, 7) Hz", np.logspace(-1, 2, 7)),
        ("[0.5, 0.75,2.5] mV", np.array([0.5, 0.75, 2.5]) * 1e-3),
        ("linspace(1, 1, 1)", np.ones(1)),
    ],
)
def test_a_grid_is_that_of_numpy(text, values):
    assert_allclose(np.asarray(quantity(text)), values, rtol=1e-15)


@pytest.mark.parametrize(
    "value",
    [
        -60 * brian2.mV,
        [1, 2] * brian2.mV,
        [1 * brian2.mV, 2 * brian2.mV],
        3,
        np.float32(0.5),
        np.arange(3),
        (1.0, 2.0),
    ],
)
def test_what_is_not_text_keeps_value_and_unit(value):
    read = quantity(value)
    wanted = brian2.Quantity(value)
    assert_array_equal(np.asarray(read), np.asarray(wanted))
    assert read.dim is wanted.dim


@given(NUMBERS, WRITTEN)
def test_describing_and_reading_gives_the_value_again(number, unit):
    value = quantity(f"{number!r} {unit}")
    again = quantity(describe(value))
    assert again.dim is value.dim
    assert_allclose(float(again), float(value), rtol=1e-14)


@given(SHORT, WRITTEN)
def test_a_short_number_is_described_in_few_digits(number, unit):
    text = describe(quantity(f"{number!r} {unit}"))
    assert describe(quantity(text)) == text
    assert len(text.split(" ")[0]) <= 16


@given(st.lists(SHORT, min_size=1, max_size=8), WRITTEN)
def test_a_list_survives(numbers, unit):
    value = quantity(f"{numbers!r} {unit}")
    assert value.shape == (len(numbers),)
    again = quantity(describe(value))
    assert again.dim is value.dim
    size = np.max(np.abs(np.asarray(value)))
    assert_allclose(np.asarray(again), np.asarray(value), rtol=1e-12, atol=1e-12 * size)


@given(SHORT, st.floats(0.001, 100), st.integers(5, 60))
def test_an_even_grid_is_described_as_one(first, length, number):
    value = quantity(f"linspace({first}, {first + length}, {number}) mV")
    text = describe(value)
    assert re.fullmatch(rf"linspace\(.+, .+, {number}\) mV", text)
    assert_allclose(np.asarray(quantity(text)), np.asarray(value), rtol=1e-12, atol=1e-15)


@given(st.lists(st.integers(-3, 3), min_size=7, max_size=7))
def test_the_text_of_a_unit_is_read_by_us_and_by_brian2(powers):
    dim = get_or_create_dimension(powers)
    text = unit_text(dim)
    assert parse_unit(text).dim is dim
    assert float(parse_unit(text)) == 1
    assert brian2.Equations(f"x : {text}")["x"].dim is dim


def test_units_are_those_that_this_field_writes():
    shown = [
        display_unit(quantity(t)) for t in ("1 volt", "1 second", "1 amp/meter**2", "1 S/m**2")
    ]
    assert shown == ["mV", "ms", "uA/cm**2", "mS/cm**2"]
    assert describe(quantity("1 volt"), "volt") == "1 volt"
    assert not UNITS.keys() & {"s", "V", "m"}  # these are useful names for variables


BAD = [
    ("", "not a number"),
    ("mV", "not a number"),
    ("1 2", "not a unit"),
    ("1..2 mV", "not a unit"),
    ("nan mV", "not a number"),
    ("inf mV", "not a number"),
    ("1e999 mV", "not finite"),
    ("-1e999", "not finite"),
    ("0x10 mV", "'x10 mV' is not a unit"),
    ("1 furlong", "'furlong'"),
    ("1 mv", "did you mean 'mV'?"),
    ("1 mV**0.5", "power"),
    ("1 mV**99", "power"),
    ("1 mV**mV", "power"),
    ("1 mV**-mV", "power"),
    ("1 mV**9**9**9", "power"),
    ("1 mV**True", "power"),
    ("1 mV + mV", "not a unit"),
    ("1 -mV", "not a unit"),
    ("1 2*mV", "not a unit"),
    ("1 mV()", "not a unit"),
    ("1 mV.dim", "not a unit"),
    ("1 __import__('os')", "not a unit"),
    ("__import__('os').system('true')", "not a number"),
    ("1 " + "*".join(["mV"] * 500), "too long"),
    ("1 " + "*".join(["Ymeter"] * 15), "out of range"),
    ("1 Ymeter**9*Ymeter**9", "out of range"),
    ("1 mV\0", "not a unit"),
    ("٣ mV", "not a number"),  # an Arabic digit
    ("1_000 mV", "'_000"),
    ("linspace(0, 1) mV", "first, last, number"),
    ("linspace(0, 1, 2.5) mV", "first, last, number"),
    ("linspace(0, 1, -3) mV", "first, last, number"),
    ("linspace(0, 1, 0)", "from 1 to"),
    ("linspace(0,1,999999999) mV", "from 1 to"),
    ("linspace(0, 1, " + "9" * 5000 + ")", "first, last, number"),
    ("linspace(0, nan, 3)", "not a number"),
    ("linspace(0, 1e999, 3)", "not finite"),
    ("logspace(0, 9999, 5)", "not finite"),
    ("arange(0, 1, 3)", "not a number"),
    ("[]", "not a number"),
    ("[1, x] mV", "not a number"),
    ("[[1], [2]] mV", "not a number"),
    ("[1, 2", "not a number"),
    ("1" + " " * 50_000 + "x\nx", "not a unit"),  # no quadratic search
    (True, "not a number with a unit"),
    (None, "not a number with a unit"),
    ({"a": 1}, "not a number with a unit"),
    (1j, "not a number with a unit"),
    ("a" * 100_000, "not a number"),
    (10**400, "not a number with a unit"),
    (float("nan"), "not finite"),
    ([1.0, float("inf")], "not finite"),
    ([], "not one dimension"),
    ([[1.0, 2.0]], "not one dimension"),
    ([[1], [2, 3]], "not a number with a unit"),
    ([1 * brian2.mV, 2], "not a number with a unit"),
    ([1 * brian2.mV, 2 * brian2.ms], "not a number with a unit"),
    (np.array(["1"]), "not a number with a unit"),
    (np.datetime64("2020"), "not a number with a unit"),
]


@pytest.mark.parametrize(("value", "told"), BAD, ids=[str(v)[:40] for v, _ in BAD])
def test_anything_else_is_refused(value, told):
    with pytest.raises(DendrosimError) as error:
        quantity(value, "file.toml: key")
    assert str(error.value).startswith("file.toml: key")
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("value", "like", "told"),
    [
        ("10", brian2.mV, "'10' has no unit, but the unit mV is needed"),
        ("10 mV", brian2.second, "has the unit mV, but the unit ms is needed"),
        ("10 mV", quantity("1"), "has the unit mV, but no unit is needed"),
        ("0", brian2.mV, "is needed"),
        ([1 * brian2.mV], quantity("1"), "no unit is needed"),
    ],
)
def test_another_dimension_is_refused(value, like, told):
    with pytest.raises(DendrosimError, match=re.escape(told)):
        quantity(value, like=like)


def test_a_dimension_may_be_asked_for_as_such():
    assert quantity("1 mV", like=brian2.volt.dim) == 1 * brian2.mV


@given(st.text() | st.binary() | st.floats() | st.lists(st.floats() | st.text()))
def test_no_input_raises_anything_else(value):
    try:
        assert np.all(np.isfinite(quantity(value)))
    except DendrosimError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 2 * MAX_MESSAGE


@given(st.text(alphabet="()[]*/-+.,eE0123456789mVscuAS_ \n", max_size=40))
def test_no_text_of_these_signs_raises_anything_else(text):
    with contextlib.suppress(DendrosimError):
        quantity(text)


def test_the_error_is_one_printable_line_of_bounded_length():
    error = DendrosimError("a\nb\t\x1b[31m \udc80 " + "x" * 10_000 + " end")
    assert str(error).startswith("a b \\x1b[31m \\udc80 x")
    assert str(error).endswith("x end")
    assert len(str(error)) < 2 * MAX_MESSAGE
