"""How a process ends: by Ctrl-C in the middle of a build, and by an error that nobody catches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest


@pytest.mark.skipif(os.name != "posix", reason="signals of a terminal")
def test_ctrl_c_while_compiling_stops_and_leaves_nothing(tmp_path):
    """A compiler that takes forever, of which the whole group is told, as by a terminal."""
    started = tmp_path / "started"
    slow = tmp_path / "slow-g++"
    slow.write_text(
        f'#!/bin/sh\ncase "$*" in\n*--version*) echo slow 1 ;;\n'
        f"*main.o*) touch {started}; sleep 60 ;;\nesac\n"
    )
    slow.chmod(0o755)
    cache = tmp_path / "cache"
    with subprocess.Popen(
        [sys.executable, "-m", "dendrosim", "run", "lif", "constant", "--set", "amplitude=0.5"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        start_new_session=True,
        env={**os.environ, "DENDROSIM_CACHE": str(cache), "CXX": str(slow)},
    ) as process:  # fmt: skip
        while not started.exists() and process.poll() is None:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "\ndendrosim: stopped\n")
    assert [p.name for p in cache.rglob("*") if p.is_file() and p.suffix != ".lock"] == []


def ends(code, tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    return run.stderr


@pytest.mark.parametrize("first", ["", "import brian2\n"])
def test_an_uncaught_error_is_not_reported_as_a_bug_of_brian2(first, tmp_path):
    err = ends(f"{first}import dendrosim as ds\nds.load_model('nowhere')", tmp_path)
    assert err.startswith("Traceback") and "Brian 2" not in err
    assert err.splitlines()[-1].startswith("dendrosim.errors.DendrosimError: ")


def test_an_error_of_a_script_is_its_own(tmp_path):
    """To import this package does not change what a script prints when it fails."""
    err = ends("import dendrosim as ds\nds.load_model('lif')\n1/0", tmp_path)
    assert err.startswith("Traceback") and "Brian 2" not in err
    assert err.endswith("ZeroDivisionError: division by zero\n")


def test_a_script_that_imports_brian2_keeps_its_report(tmp_path):
    err = ends("import brian2\nimport dendrosim as ds\nds.load_model('lif')\n1/0", tmp_path)
    assert "Brian 2 encountered an unexpected error" in err and "ZeroDivisionError" in err


def test_a_hook_of_another_program_stays(tmp_path):
    code = (
        "import sys, brian2\nsys.excepthook = lambda *_: print('mine', file=sys.stderr)\n"
        "import dendrosim as ds\nds.load_model('nowhere')"
    )
    assert ends(code, tmp_path) == "mine\n"


def test_a_command_without_stderr_has_no_progress_bar(tmp_path):
    """As of a daemon: it ended with status 1 and no word, which `verify` means otherwise."""
    command = 'exec "$0" -m dendrosim run lif --device numpy --set amplitude=0.5 2>&-'
    run = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable], cwd=tmp_path, stdout=subprocess.PIPE,
        text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0 and "lif under constant: 1 neuron(s)" in run.stdout
