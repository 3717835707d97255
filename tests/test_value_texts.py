"""Values in messages: short, with their unit, and as a user would write them."""

from __future__ import annotations

import brian2
import numpy as np
import pytest

import dendrosim as ds
from dendrosim import checks
from dendrosim.model.quantities import describe, quantity
from dendrosim.sweeps.differences import differences, setting_shown
from dendrosim.sweeps.units import in_usual_unit


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (quantity("linspace(1, 15, 41) mS/cm**2"), "1 .. 15 mS/cm**2 (41 values)"),
        (quantity("[1, 2.5] mS/cm**2"), "[1, 2.5] mS/cm**2"),
        (quantity("[9, 1, 2, 3, 4, 5] mV"), "1 .. 9 mV (6 values)"),  # not sorted
        (quantity("linspace(2, 2, 64) ms"), "2 ms"),  # copies that fill a run
        (2e-8 * brian2.meter**2, "20000 um**2"),
        (12e6 * brian2.ohm, "12 Mohm"),
        (5 * brian2.mS, "5 mS"),  # not 5e+06 nS
        ([1 * brian2.mV, 2 * brian2.ms], "[1 mV, 2 ms]"),
        (np.linspace(0, 1, 1000), "0 .. 1 (1,000 values)"),
        (list(np.linspace(0, 1, 40)), "0 .. 1 (40 values)"),
        (np.zeros((30, 30)), "an array of shape (30, 30)"),
        (np.float64(0.5), "0.5"),
        ("text", "'text'"),
        ([1, 2], "[1, 2]"),
    ],
    ids=str,
)
def test_a_value_is_printed_as_a_user_writes_it(value, text):
    assert checks.short(value) == text


@pytest.mark.parametrize("text", ["12 Mohm", "20000 um**2", "30 kohm*cm**2", "150 um"])
def test_usual_units_are_those_of_a_physiologist(text):
    assert describe(quantity(text)) == text


@pytest.mark.parametrize(
    ("axes", "told"),
    [
        ({"g_c": quantity("linspace(1, 15, 41) mV")},
         "parameters.g_c: 1 .. 15 mV (41 values) has the unit mV, but the unit mS/cm**2 is needed"),
        ({"g_c": quantity("linspace(-1, 15, 41) mS/cm**2")},
         "parameters.g_c = -1 .. 15 mS/cm**2 (41 values) is a conductance below 0"),
        ({"g_c": "uniform(1, 15) mS/cm**2"},
         "parameters.g_c is a distribution, uniform(1, 15) mS/cm**2: design"),
    ],
    ids=str,
)  # fmt: skip
def test_a_sweep_names_its_axes_in_the_usual_unit(axes, told):
    with pytest.raises(ds.DendrosimError) as error:
        ds.sweep("kepecs_wang_2000", "step", axes)
    assert told in str(error.value)
    assert "array(" not in str(error.value)


def test_a_fit_names_its_ranges_in_the_usual_unit():
    with pytest.raises(ds.DendrosimError, match=r"g_c from -1\.\.2 mS/cm\*\*2: "):
        ds.fit("kepecs_wang_2000", "kepecs_wang_2000", {"g_c": "-1..2 mS/cm**2"},
               protocol="step")  # fmt: skip


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("uniform(50, 150) siemens/meter**2", "uniform(5, 15) mS/cm**2"),
        ("[10, 20] siemens/meter**2", "[1, 2] mS/cm**2"),
        ("1e-10..2e-08 meter**2", "100..20000 um**2"),
        ("0.7..0.99 1", "0.7..0.99"),
        ("['soma', 'dendrite']", "\"['soma', 'dendrite']\""),
        ("some words 3", '"some words 3"'),
    ],
)
def test_settings_of_folders_are_shown_in_the_usual_unit(text, shown):
    assert setting_shown(text) == shown


@pytest.mark.parametrize(
    ("values", "unit", "shown", "label"),
    [
        (2e-8, "meter**2", 20000, "um**2"),
        (1.5e8, "ohm", 150, "Mohm"),
        (20.0, "hertz/(amp/meter**2)", 0.2, "Hz/(uA/cm**2)"),
        (1e11, "hertz/(amp)", 0.1, "Hz/pA"),
        (7.0, "hertz/(1)", 7, "Hz"),
    ],
)
def test_tables_of_a_sweep_are_in_usual_units(values, unit, shown, label):
    found, usual = in_usual_unit(np.array([values]), unit)
    np.testing.assert_allclose(found, [shown])
    assert usual == label


def test_differences_name_the_entry():
    there = {"free": {"a": "10.0..20.0 siemens/meter**2"}, "stimuli": [{"area": "1 um**2"}], "n": 1}
    here = {"free": {"a": "10.0..30.0 siemens/meter**2"}, "stimuli": [{"area": "2 um**2"}], "n": 1}
    assert list(differences(there, here)) == [
        "free: a is 1..2 mS/cm**2 there and 1..3 mS/cm**2 here",
        "stimuli: 0: area is 1 um**2 there and 2 um**2 here",
    ]
    assert list(differences({"m": {"a": 1, "b": 2}}, {"m": {"b": 2, "a": 1}})) == [
        "m: their order is another"
    ]
