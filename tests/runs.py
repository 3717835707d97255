"""Runs that several test files make in the same way, so that they share compiled programs."""

import numpy as np

import dendrosim as ds

MV, MS = 1e-3, 1e-3

#: Kepecs-Wang neurons that rest, burst once, burst with 4 and with 5 spikes (REFERENCE.md 2b).
G_KS = "[0.8, 0.8, 0.8, 0.7] mS/cm**2"
I_D = (0.0, 0.25, 1.0, 1.0)


def bursters():
    """Return the model of the four."""
    return ds.load_model("kepecs_wang_2000").with_(parameters={"g_KS": G_KS})


def constants(duration, soma="0 uA/cm**2", dendrite="0 uA/cm**2"):
    """Return a protocol of two constant currents."""
    return ds.Protocol(
        duration=duration,
        stimuli=[
            ds.Stimulus("soma", "constant", amplitude=soma),
            ds.Stimulus("dendrite", "constant", amplitude=dendrite),
        ],
    )


def four(duration="60 ms", dendrite=I_D, **options):
    """Simulate the four, by default with the currents of the reference."""
    protocol = constants(duration, dendrite=f"{list(dendrite)} uA/cm**2")
    return states(options.pop("model", None) or bursters(), protocol, **options)


def states(model, protocol, **options):
    """Simulate and record every state at every step; grids are paired."""
    given = {"device": "cpp", "record": model.states, "grids": "zip", "progress": False}
    return ds.simulate(model, protocol, **given | options)


def same_units(recording, names):
    """Return recorded states as the oracles have them: mV, shape (samples, states, neurons)."""
    scale = {"volt": MV, "1": 1.0}
    return np.stack(
        [recording.traces[n].values / scale[recording.traces[n].attrs["units"]] for n in names],
        axis=1,
    )
