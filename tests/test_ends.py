"""How a process ends: by Ctrl-C in the middle of a build."""

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
    assert [p.name for p in cache.rglob("*") if p.is_file()] == []
