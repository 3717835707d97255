"""The ladder: its rungs, its numbers against measures taken apart, its files and its figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dendrosim as ds
from dendrosim import DendrosimError
from dendrosim.measures import bursts, coincidence_factor
from dendrosim.reduction import ladder

NOISE = ds.Protocol(
    "2 second",
    [ds.Stimulus("dendrite", "ou", mean="[0.6, 1.1] uA/cm**2", sigma="0.8 uA/cm**2", tau="10 ms",
                 sample="0.1 ms", seed=4)],
    name="noise",
)  # fmt: skip


@pytest.fixture(scope="module")
def found():
    """A ladder whose discrete rungs exist already."""
    linear = ds.reduce("kepecs_wang_2000", "0.5 ms").model
    return ladder(
        "kepecs_wang_2000", fit=NOISE, unseen=NOISE.with_(seed=5), others=[], timed=False,
        reductions={"adaptive": "kepecs_wang_2000_adaptive", "linear": linear}, progress=False,
    )  # fmt: skip


def test_its_rungs(found):
    names = ["kepecs_wang_2000", "spike_cut", "spike_cut_long_step", "adaptive", "linear"]
    assert list(found.models) == list(found.rungs.index) == names
    assert found.rungs["states"].tolist() == [5, 7, 7, 5, 3]
    assert found.rungs["step (ms)"].tolist() == pytest.approx([0.02, 0.02, 0.1, 0.5, 0.5])
    assert found.rungs["numbers"].tolist()[0] == 0
    # duration and five states: a mean each, and slopes on v_d, h, n and q
    assert found.rungs["numbers"]["spike_cut"] == 6 + 24


def test_its_measures_are_those_of_the_runs(found):
    rows = found.table[found.table.role == "fit"].set_index("rung")
    whole = ds.simulate("kepecs_wang_2000", NOISE, record=[], progress=False)
    for name in ("spike_cut", "adaptive", "linear"):
        own = ds.simulate(found.models[name], NOISE, record=[], progress=False)
        pairs = [tuple(train[train < 2.0] for train in pair)  # the window ends before 2 s
                 for pair in zip(whole.trains, own.trains, strict=True)]  # fmt: skip
        for ms in (2, 4):
            expected = np.mean([coincidence_factor(a, b, ms * 1e-3, 2.0) for a, b in pairs])
            assert rows[f"Gamma, {ms} ms"][name] == pytest.approx(expected, nan_ok=True)
        assert rows["rate (Hz)"][name] == pytest.approx(np.sum(own.spike_t < 2.0) / 4.0)
        expected = np.mean([bursts(b, 20e-3).spikes_per_burst for _, b in pairs if len(b)])
        assert rows["spikes per burst"][name] == pytest.approx(expected)
    assert rows["Gamma, 4 ms"]["kepecs_wang_2000"] == 1
    assert rows["potential (mV)"]["kepecs_wang_2000"] == 0
    assert rows["ISI distance"]["kepecs_wang_2000"] == 0
    assert rows["Gamma, 4 ms"]["ceiling"] > 0.95
    # each rung keeps less than the one above it
    # the linear neuron is not fitted here, and fires so often that Gamma is undefined
    order = np.nan_to_num(rows["Gamma, 4 ms"][["spike_cut", "adaptive", "linear"]], nan=-1.0)
    assert (np.diff(order) < 0).all() and order[0] > 0.9 and order[1] > 0.5 > order[2]
    held = found.table[found.table.role == "unseen"].set_index("rung")
    assert held["Gamma, 4 ms"]["kepecs_wang_2000"] == 1
    assert held["rate (Hz)"]["kepecs_wang_2000"] != rows["rate (Hz)"]["kepecs_wang_2000"]


def test_its_text_and_files(found, tmp_path):
    text = found.text()
    assert "noise (fit)" in text and "noise (unseen)" in text and "ceiling" in text
    found.save(tmp_path / "ladder")
    files = {path.name for path in (tmp_path / "ladder").iterdir()}
    assert files == {"rungs.csv", "table.csv", "ladder.png", "spike_cut.toml", "adaptive.toml",
                     "spike_cut_long_step.toml", "linear.toml"}  # fmt: skip
    again = pd.read_csv(tmp_path / "ladder" / "table.csv")
    assert len(again) == len(found.table) == 2 * 6
    loaded = ds.load_model(tmp_path / "ladder" / "adaptive.toml")
    assert loaded.hash == found.models["adaptive"].hash


def test_its_figure_has_a_panel_for_each_rung(found):
    figure = found.plot()
    axes = figure.axes
    assert len(axes) == 5
    assert [one.get_title(loc="left").split(":")[0].replace("\\", "") for one in axes] == list(
        found.models
    )
    for one, name in zip(axes, found.models, strict=True):
        drawn = one.lines[0].get_xdata()
        assert drawn[0] == pytest.approx(0, abs=1) and drawn[-1] == pytest.approx(1000, abs=1)
        spikes = one.lines[1].get_xdata() * 1e-3
        train = found.shown[1][name].train
        # the same spikes, from the start of the drawn second
        assert 0 <= len(spikes) <= len(train)
        assert np.isin((np.diff(spikes) * 1e5).round(), (np.diff(train) * 1e5).round()).all()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"unseen": NOISE}, "unseen has protocols, but fit has none"),
        ({"fit": 3}, "fit = 3 should list protocols"),
        ({"fit": NOISE, "reductions": {"ceiling": "lif"}}, "may not be named"),
        ({"dt": "1 mV"}, "ladder: dt"),
    ],
)
def test_bad_arguments(options, told):
    with pytest.raises(DendrosimError, match=told):
        ladder("kepecs_wang_2000", **options)
