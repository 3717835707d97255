"""Reduction of a recorded cell: a file with the responses of a known neuron is such a cell."""

from __future__ import annotations

import json

import numpy as np
import pytest
from abf_files import abf2

import dendrosim as ds
from dendrosim import DendrosimError
from dendrosim.cli.commands import main
from dendrosim.model.dynamics import Dynamics
from dendrosim.reduction import adaptive
from dendrosim.reduction.cell import reduce_cell

DT, AREA, SWEEPS = 1e-4, 2e-8, 6  # s, m^2; sweeps of -100, 0, 100, ... pA
EPOCHS = [(0, 0, 1, 0.0, 0.0, 1000, 0), (0, 1, 1, -100.0, 100.0, 4000, 0)]


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    """The file of a Kepecs-Wang neuron with another leak, and its spikes per sweep in the step."""
    path = tmp_path_factory.mktemp("cell") / "cell.abf"
    abf2(path, np.zeros((SWEEPS, 6000, 1)), epochs=EPOCHS, dt=DT)
    protocol = ds.load_protocol("recorded").with_(file=str(path), area=f"{AREA} meter**2")
    model = ds.load_model("kepecs_wang_2000").with_(parameters={"g_L": "0.13 mS/cm**2"})
    dynamics = Dynamics(model)
    rest = zip(dynamics.states, dynamics.rest(), strict=True)
    model = model.with_(initial={
        name: f"{float(value)!r}{' volt' if name.startswith('v') else ''}" for name, value in rest
    })  # fmt: skip
    run = ds.simulate(model, protocol, record_dt="0.1 ms", progress=False)
    v = run.traces["v_s"].values[:6000]
    abf2(path, (v.T * 1e3)[:, :, None], epochs=EPOCHS, dt=DT)
    start, stop = protocol.window
    return path, [int(np.sum((t >= start) & (t < stop))) for t in run.trains]


@pytest.fixture
def small(monkeypatch):
    """A small search: the mechanism, not the quality."""
    for name, value in (("POINTS", 128), ("STARTS", 1), ("SHORT", 4), ("LONG", 1)):
        monkeypatch.setattr(adaptive, name, value)


def test_it_is_fitted_to_the_spikes_of_some_sweeps_and_judged_on_the_others(cell, small):
    path, spikes = cell
    assert max(spikes) > 5
    found = reduce_cell(path, sweeps=[0, 2, 4, 5], generations=3, population=16, progress=False)
    report = found.report.set_index("role")
    for role, sweeps in (("fit", [0, 2, 4, 5]), ("unseen", [1, 3])):
        # the step of 0.4 s
        rate = np.mean([spikes[k] for k in sweeps]) / 0.4
        assert report["rate (Hz)"][role] == pytest.approx(rate, rel=0.02)
    assert found.source == "cell.abf" and "cell.abf" in found.model.name
    # it is a model as any other: the current of the file, with no word on the cell's area
    protocol = ds.load_protocol("recorded").with_(file=str(path), sweeps=[1, 3])
    run = ds.simulate(found.model, protocol, device="numpy", progress=False)
    start, stop = protocol.window
    counts = [np.sum((t >= start) & (t < stop)) for t in run.trains]
    assert np.mean(counts) / (stop - start) == pytest.approx(report["rate, fitted (Hz)"]["unseen"])
    assert "Spikes and rates are those from 109.3 to 509.3 ms" in found.notes[0]
    assert "mV off (root mean square)" in " ".join(found.notes)


def test_leak_and_area_are_those_of_the_cell(cell, small):
    path, _ = cell
    found = reduce_cell(path, generations=1, population=4, progress=False)
    truth = ds.load_model("kepecs_wang_2000").with_(parameters={"g_L": "0.13 mS/cm**2"})
    linear = ds.reduce(truth, "0.5 ms")
    # the search changes the coefficients, not the scales, which are those of linear theory
    scales = found.scales, linear.scales
    # the cell has twice the membrane of protocol recorded
    assert float(scales[0]["I_s"]) == pytest.approx(2 * float(scales[1]["I_s"]), rel=0.05)
    assert float(found.held) == pytest.approx(float(linear.held), abs=1e-3)


def test_the_command(cell, small, tmp_path, capsys):
    words = ["reduce", "kepecs_wang_2000", "--to", "adaptive", "--recording", str(cell[0]),
             "--unseen-sweeps", "1,3", "--out", str(tmp_path / "cell.toml"), "--json"]  # fmt: skip
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model"] == "cell.abf" and [row["role"] for row in told["report"]] == [
        "fit", "unseen"
    ]  # fmt: skip
    assert ds.load_model(tmp_path / "cell.toml").kind == "discrete"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sweeps": [0, 3], "unseen_sweeps": [3]}, "sweep 3 is fitted, so it is not unseen"),
        ({"sweeps": []}, "no sweep is left to fit"),
        ({"sweeps": "0,1"}, "should be a list of numbers"),
        ({"sweeps": [3, 5]}, "stays below the holding current without spikes"),
        ({"sweeps": [0, 1]}, "has a spike from 109.3 to 509.3 ms"),
        ({"measure": {"start": "0 ms", "stop": "50 ms"}}, "stays below the holding|has a spike"),
        ({"dt": "20 ms"}, "at most once in its step of 20 ms"),
        ({"generations": 0}, "generations"),
        ({"model": "lif"}, "lif"),
        ({"sweeps": [0, 99]}, "99"),
    ],
)
def test_what_cannot_be_reduced_is_refused(cell, small, options, told):
    with pytest.raises(DendrosimError, match=told):
        reduce_cell(cell[0], progress=False, **options)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--sweeps", "0,2"], "--sweeps 0,2 has no effect without --to adaptive"),
        (["--to", "adaptive", "--passive", "g_L"], "--passive g_L has no effect without"),
        (["--to", "adaptive", "--recording", "x.abf", "--method", "exact"], "for a recorded cell"),
        (["--series-resistance", "12 Mohm"], "--series-resistance 12 Mohm has no effect without"),
        (["--to", "adaptive", "--recording", "x.abf", "--measure", "5 ms"], "START..STOP UNIT"),
    ],
)
def test_options_without_effect_are_refused(words, told, capsys):
    assert main(["reduce", "kepecs_wang_2000", *words]) == 2
    assert told in capsys.readouterr().err
