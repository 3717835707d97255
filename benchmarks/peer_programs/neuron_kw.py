"""Kepecs-Wang in NEURON: two sections a cell, cnexp gates, the implicit voltage step.

python neuron_kw.py OUT.npz NEURONS DURATION_MS DT_MS ROUNDS FOLDER_OF_MECHANISMS
"""

import sys
import time
from pathlib import Path

import numpy as np
from neuron import __version__, h

out, n, duration, dt, rounds, folder = sys.argv[1:]
n, duration, dt, rounds = int(n), float(duration), float(dt), int(rounds)
h.nrn_load_dll(str(next(Path(folder).glob("*/libnrnmech.so"))))
P, G_C = 0.15, 1e-3  # S/cm2 of the whole cell
AREA = 1e-5  # cm2 of the whole cell
cells, spikes, counters = [], [], []
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
    train = h.Vector()
    counter.record(train)
    cells.append((soma, dend))
    counters.append(counter)
    spikes.append(train)
h.load_file("stdrun.hoc")
h.dt, h.steps_per_ms, h.celsius = dt, 1 / dt, 6.3
seconds = []
for _ in range(rounds):
    h.finitialize(-65)
    began = time.process_time()
    while h.t < duration - dt / 2:
        h.fadvance()
    seconds.append(time.process_time() - began)
trains = [np.array(train) for train in spikes]
np.savez(out, seconds=seconds, version=f"NEURON {__version__}",
         i=np.repeat(np.arange(n), [len(x) for x in trains]), t=np.concatenate(trains))  # fmt: skip
