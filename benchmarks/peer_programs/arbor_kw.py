"""Kepecs-Wang in Arbor: two control volumes a cell, all cells in one group, vectorised mechanisms.

python arbor_kw.py OUT.npz NEURONS DURATION_MS DT_MS ROUNDS CATALOGUE.so

The equations are in arbor_mod/, compiled with arbor-build-catalogue.  Arbor takes the implicit
voltage step with the conductances at the step's start, as NEURON does, and then the gates' step;
its ``cnexp`` has (1 + x/2)/(1 - x/2) in place of exp(x).  A spike's time is interpolated between
two steps.  float64 only.
"""

import sys
import time

import arbor
import numpy as np
from arbor import units

out, n, duration, dt, rounds, catalogue = sys.argv[1:]
n, duration, dt, rounds = int(n), float(duration), float(dt), int(rounds)
P, G_C = 0.15, 1e-3  # S/cm2 of the whole cell
AREA = 1e-5  # cm2 of the whole cell
SIZES = [np.sqrt(AREA * share / np.pi) * 1e4 for share in (P, 1 - P)]  # um, length and diameter


class Cells(arbor.recipe):
    """A neuron a gid: a cylinder for the soma, one for the dendrite, each a control volume."""

    def __init__(self):
        super().__init__()
        self.properties = arbor.neuron_cable_properties()
        self.properties.catalogue = arbor.load_catalogue(catalogue)
        tree, end, x = arbor.segment_tree(), arbor.mnpos, 0.0
        for tag, size in enumerate(SIZES, 1):
            left, right = (arbor.mpoint(at, 0, 0, size / 2) for at in (x, x + size))
            end, x = tree.append(end, left, right, tag=tag), x + size
        self.morphology = arbor.morphology(tree)
        # half of each cylinder's resistance in series: the resistivity that gives G_C*AREA
        halves = sum(2 * s * 1e-4 / (np.pi * (s * 1e-4) ** 2) for s in SIZES)
        self.resistivity = 1 / (G_C * AREA) / halves * units.Ohm * units.cm

    def num_cells(self):
        return n

    def cell_kind(self, gid):
        return arbor.cell_kind.cable

    def global_properties(self, kind):
        return self.properties

    def cell_description(self, gid):
        decor = arbor.decor()
        capacitance = 1e-2 * units.F / units.m2
        decor.set_property(Vm=-65 * units.mV, cm=capacitance, rL=self.resistivity)
        decor.paint("(tag 1)", arbor.density("kws"))
        decor.paint("(tag 2)", arbor.density("kwd", drive=2 * gid / (n - 1)))
        decor.place("(location 0 0)", arbor.threshold_detector(-20 * units.mV), "soma")
        volumes = arbor.cv_policy_every_segment()
        return arbor.cable_cell(self.morphology, decor, discretization=volumes)


cells, context = Cells(), arbor.context(threads=1)
one_group = {arbor.cell_kind.cable: arbor.partition_hint(cpu_group_size=n)}
domains = arbor.partition_load_balance(cells, context, one_group)
simulation = arbor.simulation(cells, context, domains)
simulation.record(arbor.spike_recording.local)  # `all` keeps none without MPI in 0.12.2
seconds = []
for _ in range(rounds):
    simulation.reset()
    began = time.process_time()
    simulation.run(duration * units.ms, dt * units.ms)
    seconds.append(time.process_time() - began)
spikes = simulation.spikes()
np.savez(out, seconds=seconds, version=f"Arbor {arbor.__version__}",
         i=spikes["source"]["gid"], t=spikes["time"])  # fmt: skip
