"""Faults from outside in the middle of a run: a full disk, signals, a program that lies."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import dendrosim as ds
from dendrosim import DendrosimError
from dendrosim.devices import programs
from dendrosim.devices.program_cache import cache_folder

LONG = """
{first}
import dendrosim as ds
protocol = ds.Protocol("{duration}", [ds.Stimulus("soma", "constant", amplitude="0.7")])
run = ds.simulate(ds.load_model("lif"), protocol, device="{device}", progress={progress}, record=[])
run.save("whole.nc")
print(len(run.spike_t))
"""


def start(folder, device, duration="1000 s", first=""):
    """Start a long run that shows its progress, and wait until the loop runs."""
    code = LONG.format(device=device, duration=duration, progress=True, first=first)
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(folder)},
    )  # fmt: skip
    seen = ""
    while not any(f"{k}%" in seen for k in range(1, 100)) and process.poll() is None:
        seen += process.stderr.read(1)
    assert process.poll() is None, seen
    return process


@pytest.mark.parametrize(("device", "first"), [("numpy", "import brian2"), ("cython", "")])
def test_ctrl_c_gives_no_recording(device, first, tmp_path):
    """Brian2 returns from a run that was stopped as from a whole one."""
    process = start(tmp_path, device, first=first)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT and out == ""
    assert not (tmp_path / "whole.nc").exists()


COMMAND = [
    sys.executable, "-m", "dendrosim", "run", "lif", "constant", "--set", "amplitude=0.7", "--set",
    "duration=10000 s", "--record", "S",
]  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_command_and_leaves_nothing(number, status, tmp_path):
    with subprocess.Popen(
        [*COMMAND, "--out", "a.csv"], cwd=tmp_path, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:  # fmt: skip
        until = time.monotonic() + 120
        while not programs_running(tmp_path) and time.monotonic() < until:
            time.sleep(0.1)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (status, "")
    assert err.splitlines()[-1:] == (["dendrosim: stopped"] if status == 130 else [])
    assert programs_running(tmp_path) == [] and list(tmp_path.iterdir()) == []


def test_a_stop_of_brian2_is_no_whole_run(monkeypatch):
    """`brian2.stop` ends a run as Ctrl-C does."""
    import brian2

    from dendrosim.devices import runtime

    look = runtime._Watch.look

    def stopping(self, t):
        look(self, t)
        if float(t[:]) > 0.02:
            brian2.stop()

    monkeypatch.setattr(runtime._Watch, "look", stopping)
    protocol = ds.Protocol("100 ms", [ds.Stimulus("soma", "constant", amplitude="0.7")])
    with pytest.raises(KeyboardInterrupt):
        ds.simulate(ds.load_model("lif"), protocol, device="numpy", progress=False)


def programs_running(folder):
    """Commands of compiled programs whose results go into a folder."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if words[0].endswith(b"/main") and any(os.fsencode(folder) in word for word in words):
            found.append(int(process.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux")
def test_a_program_ends_with_the_process_that_started_it(tmp_path):
    """Even by SIGKILL; its folder is swept by the next process."""
    process = start(tmp_path, "cpp", "200000 s")
    assert len(programs_running(tmp_path)) == 1
    process.kill()
    process.communicate(timeout=60)
    until = time.monotonic() + 30
    while programs_running(tmp_path) and time.monotonic() < until:
        time.sleep(0.1)
    assert programs_running(tmp_path) == []
    short = LONG.format(device="cpp", duration="40 ms", progress=False, first="")
    done = subprocess.run(
        [sys.executable, "-c", short],
        cwd=tmp_path, check=True, capture_output=True, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert int(done.stdout) > 10
    assert [path.name for path in tmp_path.iterdir()] == ["whole.nc"]


def small_files(size):
    """Let no file of this process and its children grow beyond a size: a disk that is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [100, 20_000])
def test_a_full_disk_is_said_and_no_spike_is_made_up(size, tmp_path):
    """400 spikes: some arrays fit into some of the sizes, some do not."""
    code = """
import dendrosim as ds
protocol = ds.Protocol("2 s", [ds.Stimulus("soma", "constant", amplitude="linspace(0.5, 0.9, 3)")])
try:
    run = ds.simulate(ds.load_model("lif"), protocol, device="cpp", progress=False)
    print("spikes", len(run.spike_t))
except ds.DendrosimError as error:
    print("refused", error)
"""
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    whole = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment, cwd=tmp_path
    )
    word, spikes = whole.stdout.split()
    assert word == "spikes" and int(spikes) > 1000
    short = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment, cwd=tmp_path,
        preexec_fn=lambda: small_files(size),
    )  # fmt: skip
    assert short.stdout.startswith("refused "), short.stdout
    assert "full" in short.stdout or "cannot be written" in short.stdout
    assert list(tmp_path.iterdir()) == []


def replaced(monkeypatch, text):
    """Let every program be a script."""
    script = cache_folder() / "script" / "main"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    own = programs.program_of

    def program_of(job, device, threads):
        real = own(job, device, threads)
        return programs.Program(script.parent, real.arrays, real.sized, 0.0, False)

    monkeypatch.setattr("dendrosim.devices.execute.program_of", program_of)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exit 3", "ended with status 3"),
        ("kill -SEGV $$", "ended by SIGSEGV"),
        ("echo percent 50; exit 0", "did not come to its end"),
        ("echo seconds 1 1", "cannot be read"),
        (
            'head -c 8 /dev/zero > "$2/a"; echo seconds 1 1; printf "\\377\\376\\n"',
            "cannot be read",
        ),
    ],
)
def test_a_program_that_fails_or_lies_is_no_run(monkeypatch, text, said):
    replaced(monkeypatch, text)
    protocol = ds.Protocol("40 ms", [ds.Stimulus("soma", "constant", amplitude="0.7")])
    with pytest.raises(DendrosimError, match=said):
        ds.simulate(ds.load_model("lif"), protocol, device="cpp", progress=False)


def test_spikes_of_a_raster_of_another_length_are_refused():
    from dendrosim.devices import raster

    with pytest.raises(DendrosimError, match=r"3 bytes .* of 10 steps of 9 neurons"):
        raster.unpacked(np.zeros(3, np.int8), 10, 9)


@pytest.mark.parametrize(
    "name", ["cdef", "ELIF", "include", "nogil", "bint", "M_LN2", "SIGINT", "NSIG", "int32_t"]
)
def test_words_of_cython_and_c_are_refused_when_a_model_is_read(name):
    from dendrosim.model.toml import model_from_table

    table = {
        "title": "m", "kind": "continuous", "inputs": {"soma": "I"}, "method": "euler",
        "potentials": {"soma": "v"}, "dt": "1 ms", "threshold": "v > 1", "reset": "v = 0",
        "equations": f"dv/dt = ({name}*I - v)/tau : 1\nI : 1",
        "parameters": {name: "1", "tau": "10 ms"}, "initial": {"v": "0"},
    }  # fmt: skip
    with pytest.raises(DendrosimError, match=f"'{name}' cannot be the name of a parameter"):
        model_from_table(table, "m.toml", "m")


def test_no_step_is_skipped_where_cython_refuses_its_code(monkeypatch):
    """The name above, let through: the run is refused, it has not zero spikes."""
    from dendrosim.model import names
    from dendrosim.model.toml import model_from_table

    allowed = names._taken() - {"cdef"}
    monkeypatch.setattr(names, "_taken", lambda: allowed)
    table = {
        "title": "m", "kind": "continuous", "inputs": {"soma": "I"}, "method": "euler",
        "potentials": {"soma": "v"}, "dt": "1 ms", "threshold": "v > 1", "reset": "v = 0",
        "equations": "dv/dt = (cdef*I - v)/tau : 1\nI : 1",
        "parameters": {"cdef": "1", "tau": "10 ms"}, "initial": {"v": "0"},
    }  # fmt: skip
    protocol = ds.Protocol("40 ms", [ds.Stimulus("soma", "constant", amplitude="2")])
    with pytest.raises(DendrosimError, match="could not compile"):
        ds.simulate(model_from_table(table, "m.toml", "m"), protocol, device="cython",
                    progress=False)  # fmt: skip
