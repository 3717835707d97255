"""Kepecs-Wang populations in other simulators, beside dendrosim and the hand-written loop.

    python benchmarks/peers.py [--full] [--peers /tmp/peers/bin/python]

2,000 neurons, dt 0.05 ms, one core, float64 unless said; each peer in its own best way, in an
environment of its own.  All times are the processor's seconds of the loop over time, without what
starts a program or compiles it.  A peer that is not installed is left out, by name.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from common import DT, HERE, NEURONS, interleaved, missed, one_core, save, table
from populations import OURS, Run, hand_loop, ours

PROGRAMS = HERE / "peer_programs"
# Label -> module that must be there, program, last arguments; {name}: what COMPILED makes
PEERS = {
    "NEURON (cnexp, implicit)": ("neuron", "neuron_kw.py", ["{mechanisms}", "neuron"]),
    "CoreNEURON (cnexp, implicit)": ("neuron", "neuron_kw.py", ["{mechanisms}", "coreneuron"]),
    "Arbor (one group)": ("arbor", "arbor_kw.py", ["{catalogue}"]),
    "jax jit + scan, float64": ("jax", "jax_kw.py", ["float64"]),
    "jax jit + scan, float32": ("jax", "jax_kw.py", ["float32"]),
    "Jaxley, float64": ("jaxley", "jaxley_kw.py", ["float64"]),
    "Jaxley, float32": ("jaxley", "jaxley_kw.py", ["float32"]),
    "BrainPy exp_auto, float64": ("brainpy", "brainpy_kw.py", ["float64"]),
    "BrainPy exp_auto, float32": ("brainpy", "brainpy_kw.py", ["float32"]),
}


def installed(python: str, module: str) -> bool:
    """Whether that Python has that module."""
    code = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
    return Path(python).exists() and not subprocess.run([python, "-c", code]).returncode


@cache
def mechanisms(python: str, folder: Path) -> Path:
    """Compile NEURON's and CoreNEURON's NMODL files with nrnivmodl; return the folder.

    CoreNEURON's loops call vector exponentials only with these flags.
    """
    flags = ["-coreneuron", "-incflags", "-O3 -march=native -ffast-math"]
    return compiled(python, "nrnivmodl", [*flags, PROGRAMS / "mod"], folder / "mechanisms")


@cache
def catalogue(python: str, folder: Path) -> Path:
    """Compile Arbor's NMODL files for this processor; return the library.

    Its wheel is made for AVX2 and has no option for more: hence a compiler of our own.
    """
    compiler = folder / "native_c++"
    compiler.write_text('#!/bin/sh\nexec c++ "$@" -march=native\n')
    compiler.chmod(0o755)
    words = ["--cxx", compiler, "kw", PROGRAMS / "arbor_mod"]
    where = compiled(python, "arbor-build-catalogue", words, folder / "catalogue")
    return where / "kw-catalogue.so"


def compiled(python: str, tool: str, words: list, where: Path) -> Path:
    """Run a peer's own compiler in a new folder; return it."""
    where.mkdir(exist_ok=True)
    path = f"{Path(python).parent}:/usr/local/bin:/usr/bin:/bin"
    subprocess.run([Path(python).parent / tool, *words], cwd=where, check=True,
                   capture_output=True, env={"PATH": path, "HOME": "/tmp"})  # fmt: skip
    return where


COMPILED = {"{mechanisms}": mechanisms, "{catalogue}": catalogue}


def peer(python: str, program: str, last: list[str], folder: Path, duration: float) -> Run:
    """Return a peer's program; each call is a fresh process that warms up and runs twice."""

    def once():
        out = folder / "peer.npz"
        made = [COMPILED[word](python, folder) if word in COMPILED else word for word in last]
        words = [python, PROGRAMS / program, out, NEURONS, duration, DT, 2, *made]
        subprocess.run(list(map(str, words)), check=True, capture_output=True, cwd=folder)
        result = np.load(out)
        once.version = str(result["version"])
        return float(result["seconds"].min()), (result["i"], result["t"]), 0

    return Run(once)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="500 ms, seven rounds")
    parser.add_argument("--peers", default="/tmp/peers/bin/python", help="Python that has them")
    options = parser.parse_args()
    duration, repeat = (500.0, 7) if options.full else (200.0, 3)
    absent, failed = [], {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = (NEURONS, duration, DT)
        runs = {f"hand loop, {d}": hand_loop("kepecs_wang", d, folder, *size)
                for d in ("float64", "float32")}  # fmt: skip
        for method, dtype in OURS:
            label = f"dendrosim {method}, {dtype}"
            runs[label] = ours("kepecs_wang", method, *size, dtype=dtype)
        for label, (module, program, last) in PEERS.items():
            if not installed(options.peers, module):
                absent.append(label)
                continue
            runs[label] = peer(options.peers, program, last, folder, duration)
        exact = ours("kepecs_wang", "rk4", NEURONS, duration, 0.005)
        exact()
        for label, run in list(runs.items()):
            try:
                run()
            except subprocess.CalledProcessError as error:
                failed[label] = error.stderr.decode()[-300:]
                del runs[label]
        with one_core():
            seconds = interleaved(runs, repeat, settle=False)
    steps = NEURONS * round(duration / DT)
    rows = [
        {
            "program": label, "version": getattr(run.once, "version", ""),
            "ns_per_neuron_step": seconds[label] / steps * 1e9,
            "least_ns": seconds.least[label] / steps * 1e9,
            "ratio_to_hand_loop": seconds[label] / seconds["hand loop, float64"],
            "ratio_of_least": seconds.least[label] / seconds.least["hand loop, float64"],
            "spikes": len(run.spikes[0]), "missed": missed(exact.spikes, run.spikes),
        }
        for label, run in runs.items()
    ]  # fmt: skip
    header = ("program", "version", "ns/step", "least ns", "x hand", "of least", "spikes", "missed")
    print(table(header, [tuple(row.values()) for row in rows]))
    print(f"reference: {len(exact.spikes[0])} spikes")
    print(f"not installed: {', '.join(absent) or 'none'}; failed: {failed or 'none'}")
    save("peers", {"duration_ms": duration, "rows": rows, "absent": absent, "failed": failed,
                   "reference_spikes": len(exact.spikes[0])})  # fmt: skip


if __name__ == "__main__":
    main()
