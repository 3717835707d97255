"""The user's Brian2: its preferences change no result of ours, and ours leave it as it was."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import brian2
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import dendrosim as ds
from dendrosim import DendrosimError
from dendrosim.devices.own_brian2 import own_brian2
from dendrosim.model.toml import model_from_table


def lif(device="numpy", **options):
    protocol = ds.Protocol(
        "40 ms", [ds.Stimulus("soma", "constant", amplitude="linspace(0.1, 0.9, 5)")]
    )
    return ds.simulate(
        ds.load_model("lif"), protocol, device=device, progress=False, record=[], **options
    )


OTHERS = {
    "core.network.default_schedule": [
        "start", "resets", "synapses", "thresholds", "groups", "end",
    ],
    "core.default_float_dtype": np.float32,
    "codegen.cpp.extra_compile_args_gcc": ["-O0"],
    "codegen.loop_invariant_optimisations": False,
    "core.stop_on_keyboard_interrupt": False,
}  # fmt: skip


@pytest.mark.parametrize("device", ["numpy", "cpp"])
def test_preferences_of_the_user_change_nothing(device, tmp_path, monkeypatch):
    """Also not what is kept for the next process: the cache begins empty."""
    expected = lif()
    monkeypatch.setenv("DENDROSIM_CACHE", str(tmp_path))
    saved = {name: brian2.prefs[name] for name in OTHERS}
    try:
        for name, value in OTHERS.items():
            brian2.prefs[name] = value
        found = lif(device)
        assert {name: brian2.prefs[name] for name in OTHERS} == OTHERS
    finally:
        for name, value in saved.items():
            brian2.prefs[name] = value
    assert len(expected.spike_t) > 20
    for one in (found, lif(device)):
        assert_array_equal(one.spike_t, expected.spike_t)
        assert_array_equal(one.spike_i, expected.spike_i)


def test_every_preference_is_the_default_within_and_restored_after():
    before = dict(brian2.prefs.items())
    brian2.prefs["core.network.default_schedule"] = OTHERS["core.network.default_schedule"]
    try:
        with own_brian2():
            schedule = brian2.prefs["core.network.default_schedule"]
            assert schedule == before["core.network.default_schedule"]
        assert brian2.prefs["core.network.default_schedule"] != schedule
    finally:
        brian2.prefs["core.network.default_schedule"] = before["core.network.default_schedule"]
    assert dict(brian2.prefs.items()) == before


def test_a_standalone_device_of_the_user_is_named_with_the_way_back():
    brian2.set_device("cpp_standalone", build_on_run=False)
    try:
        with pytest.raises(DendrosimError, match=r"brian2\.set_device\('runtime'\)"):
            lif()
    finally:
        brian2.device.reinit()
        brian2.set_device("runtime")
    assert lif().n == 5


def model(k):
    """A model of its own text for each k, so that each has its own program."""
    update = f"U = 0.8*U - S + {1 + k}*I/{1 + k}\nS = int(U > 1)"
    table = {"title": "m", "kind": "discrete", "inputs": {"soma": "I"}, "dt": "1 ms",
             "potentials": {"soma": "U"}, "output": "S", "update": update}  # fmt: skip
    return model_from_table(table, f"m{k}.toml", f"m{k}")


def test_threads_of_one_process_compile_and_run():
    """Two texts at once, each twice: in a thread, first use and all."""
    protocol = ds.Protocol("40 ms", [ds.Stimulus("soma", "constant", amplitude="0.7")])

    def spikes(k):
        assert threading.current_thread() is not threading.main_thread()
        run = ds.simulate(model(k % 2), protocol, device="cpp", progress=False, record=[])
        return run.spike_t.tolist()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(spikes, range(4)))
    assert found[0] == found[1] == found[2] == found[3] and len(found[0]) > 10


def test_processes_that_need_one_program_compile_it_once(tmp_path):
    code = f"""
import os
os.environ["DENDROSIM_CACHE"] = {str(tmp_path)!r}
import dendrosim as ds
protocol = ds.Protocol("40 ms", [ds.Stimulus("soma", "constant", amplitude="0.7")])
run = ds.simulate(ds.load_model("lif"), protocol, device="cpp", progress=False, record=[])
print(run.meta["compiled"], len(run.spike_t))
"""
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = sorted(process.communicate()[0].split() for process in running)
    assert [compiled for compiled, _ in said] == ["False", "False", "True"]
    assert len({spikes for _, spikes in said}) == 1
