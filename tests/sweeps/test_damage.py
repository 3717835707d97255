"""A store that lost a file, or a bit of one, says so and what to do."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import xarray as xr

import dendrosim as ds
from dendrosim import DendrosimError

LIF = ds.load_protocol("constant").with_(duration="20 ms", amplitude="0.5")
NOISY = ds.load_protocol("ou_noise").with_(duration="2 ms")


def swept(path, **options):
    given = {"measures": ["spikes", "rate"], "spikes": True, "chunk": 2, "device": "numpy",
             "engine": 1, "progress": False, **options}  # fmt: skip
    return ds.sweep("lif", LIF, {"beta": "[0.6, 0.7, 0.8, 0.9]", "V_th": "[1, 2]"}, out=path,
                    **given)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished store."""
    path = tmp_path_factory.mktemp("whole") / "s.zarr"
    swept(path)
    return path


@pytest.fixture
def store(whole, tmp_path):
    """A copy of it."""
    shutil.copytree(whole, tmp_path / "s.zarr")
    return tmp_path / "s.zarr"


def flip(path):
    own = bytearray(path.read_bytes())
    own[len(own) // 2 + 4] ^= 1
    path.write_bytes(own)


def cut(path):
    path.write_bytes(path.read_bytes()[:5])


DAMAGE = [lambda path: path.unlink(), cut, flip]


def test_every_chunk_has_a_checksum_and_xarray_opens_the_store(store):
    for own in store.glob("**/.zarray"):
        assert [one["id"] for one in json.loads(own.read_text())["filters"]] == ["crc32"]
    found = xr.open_zarr(store, chunks=None).load()
    assert found["spikes"].notnull().all()


@pytest.mark.parametrize("damage", DAMAGE, ids=["lost", "cut", "flipped"])
def test_an_axis_with_a_damaged_file_is_no_axis(store, damage):
    """Its points once had the value 0."""
    damage(store / "beta" / "1")
    for read in (ds.load_sweep(store).to_xarray, lambda: swept(store)):
        with pytest.raises(DendrosimError, match=r"beta/1 is (missing|damaged)"):
            read()


def test_seeds_are_as_the_axes(tmp_path):
    path = tmp_path / "s.zarr"
    ds.sweep("kepecs_wang_2000", NOISY, {"g_c": "[1, 2] mS/cm**2"}, out=path, chunk=1, engine=1,
             device="numpy", measures=["spikes"], progress=False)  # fmt: skip
    (path / "seed" / "1").unlink()
    with pytest.raises(DendrosimError, match="seed/1 is missing"):
        ds.load_sweep(path).to_xarray()


@pytest.mark.parametrize("damage", DAMAGE, ids=["lost", "cut", "flipped"])
@pytest.mark.parametrize("name", ["rate/1", "status/1", "spike_times/time_1/0", "error/1"])
def test_a_damaged_result_is_told_and_computed_again(whole, store, name, damage):
    damage(store / name)
    if not (name == "status/1" and damage is DAMAGE[0]):  # then the points are to do
        with pytest.raises(DendrosimError, match="the same sweep again computes"):
            for read in (ds.load_sweep(store).to_xarray, lambda: ds.load_sweep(store).spikes(3)):
                read()
    again = swept(store)
    assert again.to_xarray().identical(ds.load_sweep(whole).to_xarray())
    for own, wanted in zip(again.spikes(3), ds.load_sweep(whole).spikes(3), strict=True):
        np.testing.assert_array_equal(own, wanted)


def test_a_status_that_does_not_exist_is_refused(whole, store):
    ds.load_sweep(store)._store.group["status"][2] = 65
    sweep = ds.load_sweep(store)
    for read in (sweep.to_xarray, lambda: sweep.counts):
        with pytest.raises(DendrosimError, match="point 2 has status 65, which does not exist"):
            read()
    assert swept(store).to_xarray().identical(ds.load_sweep(whole).to_xarray())


def test_a_damaged_description_is_a_sentence(store):
    cut(store / "spikes" / ".zarray")
    with pytest.raises(DendrosimError, match=r"spikes/\.zarray is damaged"):
        ds.load_sweep(store)


def test_measures_that_one_sweep_has_are_named(store):
    with pytest.raises(DendrosimError, match="measures: rate is only there"):
        swept(store, measures=["spikes"])
