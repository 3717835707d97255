"""Recordings from elsewhere: every field of a file is checked, and told in one sentence."""

import contextlib
import json
import re

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dendrosim as ds
from dendrosim.errors import DendrosimError
from dendrosim.figures.traces import recording_figure
from dendrosim.simulation.recording_checks import FIELDS, check_arrays, check_meta

PROTOCOL = ds.Protocol(
    "20 ms", [ds.Stimulus("soma", "constant", amplitude="linspace(0.1, 0.9, 3)")]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.just(10**400),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=3), one, max_size=3),
    max_leaves=6,
)  # fmt: skip


@pytest.fixture(scope="module")
def good():
    return ds.simulate(ds.load_model("lif"), PROTOCOL, device="numpy", progress=False)


@pytest.fixture(scope="module")
def continuous():
    model = ds.load_model("pinsky_rinzel_1994")
    return ds.simulate(model, ds.Protocol("5 ms", []), device="numpy", dt="0.05 ms", progress=False)


def saved(recording, path, meta=None, change=None):
    """Write a recording as `Recording.save` does, with another meta or other arrays."""
    recording.save(path)
    with xr.open_dataset(path, engine="h5netcdf") as file:
        data = file.load()
    if meta is not None:
        data.attrs["meta"] = meta if isinstance(meta, str) else json.dumps(meta)
    data = change(data) if change else data
    data.to_netcdf(path, engine="h5netcdf")
    return path


def test_what_the_package_writes_is_right(good, continuous, tmp_path):
    for made in (good, continuous):
        made.save(tmp_path / "a.nc")
        again = ds.load_recording(tmp_path / "a.nc")
        assert again.meta == json.loads(json.dumps(dict(made.meta)))
        assert FIELDS.keys() - again.meta.keys() <= {"processor_seconds"}


WRONG = {
    "model": 3, "protocol": None, "neurons": "3", "duration": "1 s", "dt": -1.0, "record_dt": [1],
    "potentials": ["U"], "scales": {"voltage": 1}, "grids": [{"key": "amplitude"}], "method": 4,
    "device": None, "threads": 1.5, "compiled": 1, "compile_seconds": "0", "run_seconds": None,
    "text_hash": 1, "parameters": [], "initial": "", "input_units": {"soma": 1},
    "stimuli": {}, "measure": [1], "versions": {"numpy": 2},
}  # fmt: skip


@pytest.mark.parametrize("key", WRONG)
def test_a_field_of_another_type_is_named_with_what_is_valid(good, tmp_path, key):
    """Issue 15, item 25: 31 fuzzed files ended in a TypeError."""
    path = saved(good, tmp_path / "a.nc", dict(good.meta) | {key: WRONG[key]})
    valid = FIELDS[key][0]
    told = f"{path}: meta.{key} = {WRONG[key]!r} should be {valid}"
    with pytest.raises(DendrosimError, match=re.escape(told)):
        ds.load_recording(path)


@pytest.mark.parametrize(
    "meta", ["[]", "3", "null", '"x"', "{}", "{", '{"model": NaN}', "[" * 10**5]
)
def test_a_meta_that_is_none(good, tmp_path, meta):
    path = saved(good, tmp_path / "a.nc", meta)
    with pytest.raises(DendrosimError, match=r"a\.nc"):
        ds.load_recording(path)


ARRAYS = {
    "neurons beyond": (lambda d: d.assign(spike_neuron=d["spike_neuron"] + 3), "from 0 to 2"),
    "neurons below": (lambda d: d.assign(spike_neuron=d["spike_neuron"] - 3), "from 0 to 2"),
    "neurons of text": (lambda d: d.assign(spike_neuron=d["spike_neuron"].astype(str)), "spike_ne"),
    "neurons of floats": (lambda d: d.assign(spike_neuron=d["spike_neuron"] * 0.5), "whole number"),
    "nan as a time": (lambda d: d.assign(spike_time=d["spike_time"] * np.nan), "spike_time"),
    "times that fall": (lambda d: d.assign_coords(time=-d["time"].values), "increasing"),
    "the same neuron twice": (lambda d: d.assign_coords(neuron=[0, 0, 1]), "different numbers"),
    "an unknown neuron": (lambda d: d.assign_coords(neuron=[0, 1, 7]), "different numbers"),
    "no unit": (lambda d: d.assign(U=d["U"].drop_attrs()), "a.nc: U has no unit"),
    "an unknown unit": (
        lambda d: d.assign(U=d["U"].assign_attrs(units="apples")),
        r"'apples' is not a unit \(of U\)",
    ),
    "a number as unit": (lambda d: d.assign(U=d["U"].assign_attrs(units=3)), "is not a unit .of U"),
    "turned": (lambda d: d.transpose("neuron", "time", "spike"), "one for each time and neuron"),
    "no times": (lambda d: d.drop_vars("time"), "time does not hold a coordinate"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_that_cannot_be_is_named(good, tmp_path, name):
    change, told = ARRAYS[name]
    path = saved(good, tmp_path / "a.nc", change=change)
    with pytest.raises(DendrosimError, match=told) as error:
        ds.load_recording(path)
    assert str(path) in str(error.value)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(sorted(FIELDS)), JSON)
def test_any_meta_is_refused_or_works(good, key, value):
    """Law: what the checks let through can be shown, measured and drawn."""
    meta = json.loads(json.dumps(dict(good.meta) | {key: value}))
    try:
        check_meta("a.nc", meta)
        check_arrays("a.nc", meta, good.spike_i, good.spike_t, good.traces)
    except DendrosimError as error:
        assert str(error).startswith("a.nc: ")
        return
    if meta["neurons"] > 1000:
        return
    made = ds.Recording(good.spike_i, good.spike_t, good.traces, meta)
    assert len(made.trains) == made.n and repr(made)
    assert len(made.to_dataframe()) == len(made.spike_t) and made.duration > 0
    if made.n == 3:
        with contextlib.suppress(DendrosimError):
            recording_figure(made, PROTOCOL)
