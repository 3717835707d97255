"""Every grid has a name in the recording and a column in each table; two are paired or crossed."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from brian2 import Quantity
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import dendrosim as ds
from dendrosim.cli.commands import main
from dendrosim.errors import DendrosimError
from dendrosim.simulation.grids import arranged


def lif(thresholds="[1, 2, 1e9]", amplitude="0.7", protocol=None, **options):
    model = ds.load_model("lif").with_(parameters={"V_th": thresholds})
    protocol = protocol or ds.Protocol(
        "60 ms", [ds.Stimulus("soma", "constant", amplitude=amplitude)]
    )
    return ds.simulate(model, protocol, **{"device": "numpy", "progress": False, **options})


def counts(run):
    return [len(train) for train in run.trains]


def test_a_grid_of_the_model_has_a_name_everywhere(tmp_path):
    run = lif()
    assert {name: values.tolist() for name, values in run.grids.items()} == {"V_th": [1, 2, 1e9]}
    assert run.sweep[0] == "V_th" and run.sweep[2] == "1"
    assert_array_equal(run.traces["parameters.V_th"], [1, 2, 1e9])
    table = run.to_dataframe()
    assert table.groupby("V_th").size().to_dict() == {1.0: counts(run)[0], 2.0: counts(run)[1]}
    run.save(tmp_path / "a.nc")
    again = ds.load_recording(tmp_path / "a.nc")
    xr.testing.assert_identical(again.traces, run.traces)
    assert_array_equal(again.grids["V_th"], run.grids["V_th"])


def test_one_recorded_neuron_has_its_own_value():
    run = lif(record_neurons=[2, 0])
    assert_array_equal(run.traces["parameters.V_th"], [1e9, 1])


def test_two_grids_need_a_word():
    with pytest.raises(DendrosimError, match=(
        r"2 grids, stimuli.0.amplitude of 3 values and parameters.V_th of 3 values; "
        r"grids = 'zip' pairs their values, grids = 'cross' takes every combination"
    )):  # fmt: skip
        lif(amplitude="[0.3, 0.7, 0.9]")
    with pytest.raises(DendrosimError, match="unknown grids 'both'; valid: cross, zip"):
        lif(amplitude="[0.3, 0.7, 0.9]", grids="both")


def test_pairs_are_single_runs():
    run = lif(amplitude="[0.3, 0.7, 0.9]", grids="zip")
    assert run.n == 3
    for k, (threshold, amplitude) in enumerate(zip((1, 2, 1e9), (0.3, 0.7, 0.9), strict=True)):
        alone = lif(str(threshold), str(amplitude))
        assert_array_equal(run.spikes(k), alone.spikes(0))


def test_a_cross_is_every_single_run():
    run = lif(amplitude="[0.3, 0.9]", grids="cross", n=2, device="cpp")
    assert run.n == 12
    assert_array_equal(run.grids["amplitude"], np.repeat([0.3, 0.9], 6))
    assert_array_equal(run.grids["V_th"], np.tile(np.repeat([1, 2, 1e9], 2), 2))
    for k in (0, 5, 8):  # a combination of each threshold; the pairs above are single runs, too
        alone = lif(str(run.grids["V_th"][k]), str(run.grids["amplitude"][k]))
        assert_array_equal(run.spikes(k), alone.spikes(0))
    assert sum(counts(run)) > 50


def test_a_protocol_may_cross_its_own():
    stimuli = [
        ds.Stimulus("soma", "constant", amplitude="[0.2, 0.4]"),
        ds.Stimulus("soma", "step", amplitude="[0.1, 0.3, 0.5]", start="20 ms", stop="40 ms"),
    ]
    with pytest.raises(DendrosimError, match=r"grids differ in length: .*'cross'"):
        ds.Protocol("60 ms", stimuli)
    protocol = ds.Protocol("60 ms", stimuli, grids="cross")
    run = lif("1", protocol=protocol)
    assert list(run.grids) == ["stimuli.0.amplitude", "stimuli.1.amplitude"]
    assert_array_equal(run.grids["stimuli.0.amplitude"], [0.2] * 3 + [0.4] * 3)
    assert_array_equal(run.grids["stimuli.1.amplitude"], [0.1, 0.3, 0.5] * 2)
    with pytest.raises(DendrosimError, match="grids = 'all' should be 'zip' or 'cross'"):
        ds.Protocol("60 ms", stimuli[:1], grids="all")


@given(st.lists(st.integers(2, 5), min_size=1, max_size=3))
def test_a_cross_has_every_combination_once(sizes):
    names = ["V_th", "beta", "V_th"]
    model = ds.load_model("lif").with_(
        parameters={
            name: np.arange(1, k + 1) / 10 for name, k in zip(names, sizes[:2], strict=False)
        }
    )
    amplitude = np.arange(sizes[2]) if len(sizes) > 2 else 1.0
    protocol = ds.Protocol(
        "20 ms", [ds.Stimulus("soma", "constant", amplitude=Quantity(amplitude))]
    )
    _, _, found = arranged(model, protocol, "cross")
    rows = list(zip(*(np.asarray(grid.values).tolist() for grid in found), strict=True))
    assert len(rows) == len(set(rows)) == np.prod(sizes)
    assert rows == sorted(rows)  # the first slowest


def test_a_value_for_each_neuron_is_one_grid():
    """As many values as there are neurons: no neuron is repeated."""
    assert lif(n=3).n == 3 and lif(n=2).n == 6
    assert lif("[1, 2, 3, 4]", amplitude="[0.3, 0.9]", n=2, grids="zip").n == 4


def test_tables_of_the_commands(capsys):
    command = ["run", "lif", "constant", "--device", "numpy", "--set", "amplitude=[0.3, 0.9]",
               "--set", "V_th=[1, 2]", "--set", "duration=60 ms"]  # fmt: skip
    assert main(command) == 2
    assert "2 grids" in capsys.readouterr().err
    assert main([*command, "--grids", "cross"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:3] == ["neuron", "amplitude", "V_th"] and len(lines) == 6
    assert [line.split()[1:3] for line in lines[2:]] == [
        ["0.3", "1"], ["0.3", "2"], ["0.9", "1"], ["0.9", "2"],
    ]  # fmt: skip


def test_a_comparison_has_their_columns_and_no_f_i_curve():
    models = [ds.load_model("lif").with_(parameters={"V_th": "[1, 2]"})] * 2
    protocol = ds.Protocol("60 ms", [ds.Stimulus("soma", "constant", amplitude="[0.3, 0.6, 0.9]")])
    options = {"device": "numpy", "progress": False, "names": ["a", "b"]}
    crossed = ds.compare(models, protocol, grids="cross", **options)
    assert_array_equal(crossed.curves["V_th"], [1, 2] * 6)
    assert_array_equal(crossed.curves["amplitude"], np.tile(np.repeat([0.3, 0.6, 0.9], 2), 2))
    assert not any("rheobase" in column for column in crossed.table)
    one = ds.compare(["lif", "lif"], protocol, **options)
    assert any("rheobase" in column for column in one.table)


class TestSeeds:
    noise = ds.Protocol("80 ms", [ds.Stimulus("soma", "ou", sigma="0.5", mean="0.3")])

    def currents(self, protocol, **options):
        options = {"device": "numpy"} | options
        run = ds.simulate(ds.load_model("lif"), protocol, progress=False, record=["I"], **options)
        return run.traces["I"].values

    def test_the_noise_of_a_neuron_does_not_depend_on_its_neighbours(self):
        own = self.noise.with_(independent=True)
        few, many = self.currents(own, n=2), self.currents(own, n=7)
        assert_array_equal(few, many[:, :2])
        assert len(np.unique(many[40])) == 7

    def test_a_list_of_seeds_is_a_grid_of_single_runs(self):
        seeds = [4, 0, 11]
        packed = self.currents(self.noise, seed=seeds, n=2)
        assert packed.shape[1] == 6
        for k, seed in enumerate(seeds):
            alone = self.currents(self.noise, seed=seed)
            assert_array_equal(packed[:, 2 * k : 2 * k + 2], np.repeat(alone, 2, axis=1))
        run = ds.simulate("lif", self.noise, device="numpy", seed=seeds, progress=False)
        assert_array_equal(run.grids["seed"], seeds)

    def test_own_noise_of_each_repetition(self):
        own = self.noise.with_(independent=True)
        packed = self.currents(own, seed=[4, 9], n=3)
        assert_array_equal(packed[:, 3:], self.currents(own, seed=9, n=3))

    @pytest.mark.parametrize("device", ["numpy", "cpp"])
    def test_neurons_with_equal_numbers_share_their_noise(self, device):
        own = self.noise.with_(independent=True)
        shared = self.noise.with_(independent=[0, 2, 0, 1])
        separate = self.currents(own, n=3)
        assert_array_equal(self.currents(shared, n=4, device=device), separate[:, [0, 2, 0, 1]])
        both = self.currents(shared, seed=[4, 9], n=2, device=device)
        for k, (seed, number) in enumerate([(4, 0), (4, 2), (9, 0), (9, 1)]):
            assert_array_equal(both[:, k], self.currents(own, seed=seed, n=3)[:, number])
        with pytest.raises(DendrosimError, match=r"the numbers of 4 neuron\(s\), but 3 run"):
            self.currents(shared, n=3)

    @pytest.mark.parametrize("seed", [[], [1, -1], [1, None], ["1"], 1.5, "one", [True]])
    def test_a_seed_that_is_none_is_refused(self, seed):
        with pytest.raises(DendrosimError, match="seed"):
            self.currents(self.noise, seed=seed)


PICKLED = [
    ds.load_model("pinsky_rinzel_1994"), ds.load_model("two_compartment"), ds.load_model("lrmm"),
    ds.load_protocol("dendritic_step"), ds.load_protocol("paired_pulse"),
    ds.Stimulus("soma", "pulse_train", amplitude="[1, 2]", width="1 ms", period="5 ms", count="3"),
]  # fmt: skip


@pytest.mark.parametrize("thing", PICKLED, ids=lambda thing: getattr(thing, "name", "stimulus"))
@pytest.mark.parametrize("copied", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy])
def test_a_copy_is_like_itself(thing, copied):
    """Brian2 returns a dimensionless quantity from a pickle as a plain number."""
    again = copied(thing)
    for mapping in ("values", "initial", "given_measure"):
        one, other = getattr(thing, mapping, {}), getattr(again, mapping, {})
        if callable(one):
            one, other = one(), other()
        assert list(one) == list(other)
        for name, value in one.items():
            assert type(other[name]) is type(value)
            assert_array_equal(np.asarray(other[name]), np.asarray(value))
            assert getattr(other[name], "dim", None) is getattr(value, "dim", None)
    if isinstance(thing, ds.Model):
        assert again.hash == thing.hash


def test_a_pickled_run_and_its_parts_are_the_same():
    model, protocol = pickle.loads(pickle.dumps((ds.load_model("lif"), TestSeeds.noise)))
    run = ds.simulate(model, protocol, device="numpy", progress=False)
    again = pickle.loads(pickle.dumps(run))
    expected = ds.simulate("lif", TestSeeds.noise, device="numpy", progress=False)
    assert_array_equal(again.spike_t, expected.spike_t)
    pd.testing.assert_frame_equal(again.to_dataframe(), expected.to_dataframe())
