"""The report of a fit: its figure, what its standard errors belong to, and what cannot be told."""

from __future__ import annotations

import json

import numpy as np
import pytest
from abf_files import abf2

import dendrosim as ds
from dendrosim.current_clamp import cell_properties
from dendrosim.fitting import conclusion
from dendrosim.fitting.figure import chosen_sweeps
from dendrosim.fitting.free import read_free
from dendrosim.fitting.problem import Problem, values_at, with_values
from dendrosim.fitting.refine import Refined, linearised_at
from dendrosim.fitting.report import apart_note, standard_errors
from dendrosim.fitting.responses import Runs
from dendrosim.fitting.targets import targets_of

MEMBRANE = """
title = "Passive membrane"
kind = "continuous"
inputs = { soma = "I" }
potentials = { soma = "v" }
method = "exponential_euler"
dt = "0.5 ms"
equations = '''
dv/dt = (g_L*(E_L - v) + g_M*(E_L - v) + I)/C_m : volt
I : amp/meter**2
'''
[parameters]
C_m = "1 uF/cm**2"
g_L = "0.1 mS/cm**2"
g_M = "0.1 mS/cm**2"
E_L = "-70 mV"
[initial]
v = "-70 mV"
"""
STEPS = ds.Protocol(
    "80 ms",
    [ds.Stimulus("soma", "step", amplitude="[-1, -0.5, 0, 0.5, 1] uA/cm**2", start="20 ms",
                 stop="80 ms")],
    name="steps",
)  # fmt: skip
QUICK = {"device": "numpy", "population": 4, "generations": 2, "progress": False,
         "cost": "voltage"}  # fmt: skip


@pytest.fixture(scope="module")
def membrane(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "membrane.toml"
    path.write_text(MEMBRANE)
    return ds.load_model(path)


@pytest.fixture(scope="module")
def fit(membrane):
    return ds.fit(membrane, membrane, {"E_L": "-90..-60 mV"}, protocol=STEPS,
                  unseen=STEPS.with_(amplitude="2 uA/cm**2"), seed=[0, 1], **QUICK)  # fmt: skip


# The figure


def test_the_figure_shows_sweeps_of_both_roles_with_their_amplitudes(fit):
    *traces, costs = fit.plot().axes
    titles = [panel.get_title(loc="left") for panel in traces]
    assert titles == [
        "steps (fitted)\nstimulus 0, \N{MINUS SIGN}1 µA/cm²",
        "stimulus 1, \N{MINUS SIGN}0.5 µA/cm²", "stimulus 3, 0.5 µA/cm²", "stimulus 4, 1 µA/cm²",
        "steps (unseen)\n2 µA/cm²",
    ]  # fmt: skip
    # a sweep is drawn under its own title: the steady potential is E_L + I/(g_L + g_M)
    last = [panel.lines[0].get_ydata()[-1] for panel in traces]
    np.testing.assert_allclose(last, [-75, -72.5, -67.5, -65, -60], atol=0.1)
    assert costs.get_ylabel() == "best cost"


@pytest.mark.parametrize("costs", [[8.03, 8.02], [800.0, 3.0, 0.02], [2.0, 0.9, 0.31], [1, 0.0]])
def test_the_ticks_of_the_costs_are_plain_numbers(fit, costs):
    from dataclasses import replace

    history = fit.history.iloc[: len(costs)].assign(**{"best cost": costs})
    figure = replace(fit, history=history).plot()
    figure.draw_without_rendering()
    panel = figure.axes[-1]
    low, high = panel.get_ylim()
    ticks = [tick.get_text() for tick, at in
             zip(panel.get_yticklabels(), panel.get_yticks(), strict=True)
             if low <= at <= high]  # fmt: skip
    assert len(ticks) >= 2
    for tick in ticks:
        float(tick.replace("\N{MINUS SIGN}", "-"))


def test_sweeps_are_evenly_spread_and_hold_the_busiest():
    assert chosen_sweeps([0, 3]) == [0, 1]
    assert chosen_sweeps([0] * 10) == [0, 3, 6, 9]
    assert chosen_sweeps([0, 0, 0, 0, 0, 9, 0, 0, 0, 0]) == [0, 3, 5, 9]


# The standard errors


def test_a_fit_says_nothing_about_errors_that_belong_to_its_values(fit):
    assert fit.errors_note == ""
    assert np.isfinite(fit.values["standard error"]).all()


@pytest.mark.parametrize("reason", ["cost", "potential"])
def test_errors_of_the_values_of_the_search_are_told_beside_them(membrane, monkeypatch, reason):
    """Least squares end elsewhere, where the cost or the potential is worse."""
    elsewhere = np.array([0.2])

    def worse(respond, targets, x):
        found = linearised_at(respond, targets, elsewhere)
        return found if reason == "potential" else Refined(
            found.x, found.jacobian, 0 * found.residual, 1
        )  # fmt: skip

    monkeypatch.setattr(conclusion.least_squares, "refine", worse)
    f = ds.fit(membrane, membrane, {"E_L": "-90..-60 mV"}, protocol=STEPS, **QUICK)
    told = {"cost": "would make the cost worse", "potential": "error of the potential larger"}
    assert told[reason] in f.errors_note and "errors belong to these values" in f.errors_note
    assert f.values["value"]["E_L"] == pytest.approx(-70, abs=2)
    assert np.isfinite(f.values["standard error"]).all()
    text = f.text(width=1000)
    assert text.index("standard error") < text.index(f.errors_note) < text.index("coincidence")
    assert json.loads(json.dumps(f.to_json()))["standard errors"] == f.errors_note


@pytest.mark.parametrize(
    ("model", "protocol", "options", "told"),
    [
        (None, STEPS, {"refine": False}, "refine = False left out"),
        ("lif", ds.load_protocol("constant").with_(duration="100 ms", amplitude="0.5"),
         {"cost": "features"}, "the target has no potential in volt"),
    ],
    ids=["left out", "no potential"],
)  # fmt: skip
def test_why_there_are_no_errors_is_told(membrane, model, protocol, options, told):
    model, free = (membrane, {"E_L": None}) if model is None else (model, {"beta": "0.7..0.99"})
    f = ds.fit(model, model, free, protocol=protocol, **QUICK | options)
    assert f.errors_note.startswith("There are no standard errors") and told in f.errors_note
    assert f.values["standard error"].isna().all()
    ((name, row),) = f.values.iterrows()
    unit = "" if row["unit"] == "1" else f" {row['unit']}"
    assert f"{name} = {row['value']:.6g}{unit}; cost" in repr(f)


def test_values_of_which_the_potential_shows_the_sum_alone_are_named(membrane):
    """One may rise by what the other falls."""
    f = ds.fit(membrane, membrane, {"g_L": "0.05..0.2 mS/cm**2", "g_M": "0.05..0.2 mS/cm**2"},
               protocol=STEPS, **QUICK)  # fmt: skip
    (note,) = [n for n in f.notes if "apart" in n]
    assert note.startswith("The data hardly tell g_")
    words = note.replace(",", "").split()
    moves = [(float(words[k + 1]), float(words[k + 3])) for k, w in enumerate(words) if w == "from"]
    (a, b), (c, d) = moves
    # the note is a linear continuation on a logarithmic scale, of a tenth of the range
    assert b - a == pytest.approx(c - d, rel=0.2)
    assert "mS/cm**2" in note and "condition number" in note


def test_values_that_the_data_do_not_tell_apart_have_large_errors():
    """Two equal columns: no number of samples determines either value."""
    rng = np.random.default_rng(0)
    column = rng.normal(size=(500, 1))
    refined = Refined(np.array([0.5, 0.5]), np.hstack([column, column]), rng.normal(size=500), 1)
    errors, condition = standard_errors(refined)
    assert condition > 1e12 and (errors > 1e12).all() and np.isfinite(errors).all()


def test_one_value_and_no_effect_at_all(membrane):
    free = read_free({"g_L": "0.05..0.2 mS/cm**2"}, membrane, [STEPS])
    note = apart_note(Refined(np.array([0.5]), np.zeros((3, 1)), np.ones(3), 1), free, np.inf)
    assert note == (
        "The data hardly determine g_L: moving g_L from 0.1 to 0.1149 mS/cm**2 does not change the "
        "potential at all."
    )


# Values and recorded cells


def test_the_fitted_values_are_in_model_and_protocols(membrane):
    free = {"g_L": "0.05..0.2 mS/cm**2", "initial.v": "-80..-60 mV",
            "stimuli.0.start": "10..30 ms"}  # fmt: skip
    found = read_free(free, membrane, [STEPS])
    values = values_at(found, np.array([0.5, 0.25, 1.0]))
    model, (one, other) = with_values(membrane, [STEPS, STEPS.with_(duration="90 ms")], values)
    assert float(model.parameters["g_L"].value) == pytest.approx(1.0)
    assert float(model.initial["v"]) == pytest.approx(-75e-3)
    assert float(one.stimuli[0].values["start"]) == float(other.stimuli[0].values["start"]) == 0.03
    targets = targets_of(membrane, [STEPS], Runs(device="numpy"))
    problem = Problem(membrane, found, targets, None, Runs(device="numpy"))
    again, _ = problem.fitted(np.array([0.5, 0.25, 1.0]))
    assert again.hash == model.hash


@pytest.fixture(scope="module")
def noisy_cell(tmp_path_factory):
    """A cell whose command jumps every 30 ms to another level, above and below holding."""
    path = tmp_path_factory.mktemp("cell") / "noise.abf"
    levels = [60, -40, 20, -70, 90, -10, 50, -60]
    epochs = [(0, 0, 1, 0.0, 0.0, 2000, 0)]
    epochs += [(0, k + 1, 1, level, 0.0, 300, 0) for k, level in enumerate(levels)]
    potential = np.full((2, 6000, 1), -65.0)
    abf2(path, potential, epochs=epochs, dt=1e-4)
    return path


def played(path, **values):
    return ds.load_protocol("recorded").with_(file=str(path), area="20000 um**2", **values)


def test_a_cell_without_steps_is_told_why_it_has_no_properties(noisy_cell):
    model = ds.load_model("kepecs_wang_2000:passive")
    protocol = played(noisy_cell)
    f = ds.fit(model, noisy_cell, ["g_L", "area"], protocol=protocol, population=4, generations=1,
               dt="0.1 ms", refine=False, progress=False)  # fmt: skip
    assert f.cell is None
    (why,) = [note for note in f.notes if "no properties of the cell" in note]
    assert "no sweep of the file has a step" in why and "with such steps would give them" in why
    (area,) = [note for note in f.notes if "search of area" in note]
    assert "began at the protocol's 20000 um**2: no sweep of the file" in area
    assert f.values["unit"]["area"] == "um**2" and f.values["start"]["area"] == 20000
    with pytest.raises(ds.DendrosimError, match="the fitted data have none; add such sweeps"):
        ds.fit(model, noisy_cell, ["g_c"], protocol=protocol, passive=["g_L"], dt="0.1 ms",
               progress=False)  # fmt: skip
    with pytest.raises(ds.DendrosimError, match="passive values are fitted to sweeps below"):
        ds.fit(model, model, ["g_c"], protocol="step", passive=["g_L"], progress=False)
    with pytest.raises(ds.DendrosimError, match="so record such steps"):
        cell_properties(noisy_cell)
