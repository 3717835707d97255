"""Kepecs-Wang in NEURON: two sections a cell, cnexp gates, the implicit voltage step.

python neuron_kw.py OUT.npz NEURONS DURATION_MS DT_MS ROUNDS FOLDER_OF_MECHANISMS neuron|coreneuron

The folder is what ``nrnivmodl -coreneuron`` left.  CoreNEURON is sent the model and sends it back
in each call: what a call for one step takes is subtracted.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np
from neuron import __version__, coreneuron, h

out, n, duration, dt, rounds, folder, engine = sys.argv[1:]
n, duration, dt, rounds = int(n), float(duration), float(dt), int(rounds)
h.nrn_load_dll(str(next(Path(folder).glob("*/libnrnmech.so"))))
P, G_C = 0.15, 1e-3  # S/cm2 of the whole cell
AREA = 1e-5  # cm2 of the whole cell
parallel = h.ParallelContext()
cells, counters = [], []
for k in range(n):
    soma, dend = h.Section(name=f"s{k}"), h.Section(name=f"d{k}")
    for section, share, mechanism in ((soma, P, "kws"), (dend, 1 - P, "kwd")):
        section.nseg, section.cm = 1, 1
        section.L = section.diam = np.sqrt(AREA * share / np.pi) * 1e4  # um
        section.insert(mechanism)
    dend.connect(soma(1), 0)
    # half of each section's resistance in series: Ra that gives G_C*AREA
    halves = sum(2 * s.L * 1e-4 / (np.pi * (s.diam * 1e-4) ** 2) for s in (soma, dend))
    for section in (soma, dend):
        section.Ra = 1 / (G_C * AREA) / halves
    dend(0.5).kwd.drive = 2 * k / (n - 1)
    counter = h.NetCon(soma(0.5)._ref_v, None, sec=soma)
    counter.threshold = -20
    parallel.set_gid2node(k, parallel.id())
    parallel.cell(k, counter)
    cells.append((soma, dend))
    counters.append(counter)
t, i = h.Vector(), h.Vector()
parallel.spike_record(-1, t, i)
parallel.set_maxstep(10)
h.load_file("stdrun.hoc")
h.dt, h.steps_per_ms, h.celsius = dt, 1 / dt, 6.3
if engine == "coreneuron":
    os.environ["CORENEURONLIB"] = str(next(Path(folder).glob("*/libcorenrnmech.so")))
    coreneuron.enable, coreneuron.verbose = True, 0


def run(until):
    """Return the processor's seconds from rest until then."""
    for kept in (t, i):
        kept.resize(0)
    h.finitialize(-65)
    began = time.process_time()
    parallel.psolve(until)
    return time.process_time() - began


run(dt)
fixed = min(run(dt) for _ in range(3)) if coreneuron.enable else 0
seconds = [run(duration) - fixed for _ in range(rounds)]
name = "CoreNEURON" if coreneuron.enable else "NEURON"
np.savez(out, seconds=seconds, version=f"{name} {__version__}", i=np.array(i), t=np.array(t))
