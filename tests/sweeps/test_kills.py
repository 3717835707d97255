"""Law: a sweep that is killed at any moment, any number of times, ends as an unbroken one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import dendrosim as ds

#: The sweep as a script: its store, and the engine as Python.
SCRIPT = """
import sys
import dendrosim as ds

protocol = ds.load_protocol("constant").with_(duration="300 ms")
axes = {"g_c": "uniform(5, 15) mS/cm**2", "g_NaP": "uniform(0.1, 0.3) mS/cm**2"}
if __name__ == "__main__":
    engine = %(engine)s
    try:
        ds.sweep("kepecs_wang_2000", protocol, axes, design="sobol", n=1024, chunk=64,
                 engine=engine, out=sys.argv[1], spikes=True, traces=["v_s"], record_dt="1 ms",
                 progress=False)
    except ds.DendrosimError as error:
        sys.exit(str(error))
"""
DASK = "__import__('distributed').Client(n_workers=2, threads_per_worker=1, dashboard_address=None)"
CHUNKS = 16


def start(script, store):
    return subprocess.Popen(
        [sys.executable, script, store], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip


def finished(store):
    """Return the number of committed chunks."""
    return len([p for p in Path(store, "status").glob("[0-9]*") if p.name.isdigit()])


def wait_for_a_chunk(run, store, before):
    while run.poll() is None and finished(store) <= before:
        time.sleep(0.005)


def workers(run):
    """Return the processes of the session of a run that work on chunks, not the run itself."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parts = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        marks = ("loky.backend.popen_loky", "multiprocessing.spawn")
        own = int(parts[3]) == run.pid and int(entry.name) != run.pid
        if own and any(mark in command for mark in marks):
            found.append(int(entry.name))
    return found


def end(run):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    run.communicate()


def killed(tmp_path, engine, whom, kills, unbroken):
    script, store = tmp_path / "sweep.py", tmp_path / "killed.zarr"
    script.write_text(SCRIPT % {"engine": engine})
    rng = np.random.default_rng(kills)
    count, runs = 0, 0
    while finished(store) < CHUNKS:
        before, runs = finished(store), runs + 1
        assert runs < kills + 10, "the sweep does not advance"
        run = start(script, store)
        if count < kills:
            wait_for_a_chunk(run, store, before)
            time.sleep(rng.uniform(0, 0.3))
            if whom == "driver":
                end(run)
                count += 1
                continue
            for worker in workers(run)[:1]:
                os.kill(worker, signal.SIGKILL)
                count += 1
        _, told = run.communicate(timeout=600)
        assert run.returncode == 0 or "goes on with the others" in told, told
        end(run)
    mine, whole = ds.load_sweep(store), ds.load_sweep(unbroken)
    assert mine.counts["done"] == 1024
    assert mine.to_xarray().drop_attrs().identical(whole.to_xarray().drop_attrs())
    for k in range(0, 1024, 101):
        assert np.array_equal(mine.spikes(k)[0], whole.spikes(k)[0])
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".killed") and whom != "driver"]
    return count


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    script = folder / "sweep.py"
    script.write_text(SCRIPT % {"engine": 1})
    run = start(script, folder / "whole.zarr")
    _, told = run.communicate(timeout=600)
    assert run.returncode == 0, told
    return folder / "whole.zarr"


@pytest.mark.parametrize("whom", ["driver", "worker"])
def test_a_killed_sweep_ends_as_an_unbroken_one(tmp_path, whom, unbroken):
    assert killed(tmp_path, 2, whom, 3 if whom == "driver" else 2, unbroken) > 0


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["driver", "worker"])
def test_twenty_kills(tmp_path, whom, unbroken):
    assert killed(tmp_path, 2, whom, 10, unbroken) > 0


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["driver", "worker"])
def test_kills_under_dask(tmp_path, whom, unbroken):
    pytest.importorskip("distributed")
    assert killed(tmp_path, DASK, whom, 3, unbroken) > 0


@pytest.mark.parametrize("engine", ["1", "2"])
def test_ctrl_c_says_how_to_go_on_and_workers_end(tmp_path, engine):
    """As from a terminal: all processes of the group get the signal."""
    run = subprocess.Popen(
        [sys.executable, "-m", "dendrosim", "sweep", "kepecs_wang_2000", "constant", "--set",
         "g_c=uniform(5, 15) mS/cm**2", "--set", "duration=300 ms", "--design", "sobol", "--n",
         "65536", "--chunk", "64", "--jobs", engine, "--out", "s.zarr"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        cwd=tmp_path,
    )  # fmt: skip
    wait_for_a_chunk(run, tmp_path / "s.zarr", 0)
    os.killpg(run.pid, signal.SIGINT)
    _, told = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "stopped; what is finished is in s.zarr, and the same command goes on" in told
    assert finished(tmp_path / "s.zarr") > 0


def test_workers_end_with_the_process_that_started_them(tmp_path):
    """A driver that is killed alone cannot tell its workers, which would compute for nobody."""
    script, store = tmp_path / "sweep.py", tmp_path / "s.zarr"
    script.write_text(SCRIPT.replace("n=1024", "n=65536") % {"engine": 2})
    run = start(script, store)
    try:
        wait_for_a_chunk(run, store, 0)
        assert workers(run)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        last = time.monotonic() + 60
        while workers(run) and time.monotonic() < last:
            time.sleep(0.1)
        assert not workers(run)
    finally:
        end(run)
