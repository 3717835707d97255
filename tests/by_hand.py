"""Recordings and protocols that tests make by hand, without a simulation."""

import numpy as np
import xarray as xr

import dendrosim as ds


def recording(trains, volts=None, *, end=1.0, dt=1e-3, name="m", place="soma", method="rk4"):
    """Return a recording made by hand; `volts` has shape (samples, neurons)."""
    times = np.arange(round(end / dt)) * dt
    spikes = sorted((t, i) for i, train in enumerate(trains) for t in train)
    traces = {} if volts is None else {"v": (("time", "neuron"), volts, {"units": "volt"})}
    meta = {
        "model": name, "protocol": "by hand", "neurons": len(trains), "duration": end, "dt": dt,
        "record_dt": dt, "potentials": {place: "v"}, "scales": None, "method": method,
        "grids": [], "device": "hand", "threads": 1, "seed": None, "compiled": False,
        "compile_seconds": 0.0, "run_seconds": 0.0,
    }  # fmt: skip
    return ds.Recording(
        np.array([i for _, i in spikes], dtype=int),
        np.array([t for t, _ in spikes], dtype=float),
        xr.Dataset(traces, coords={"time": times, "neuron": np.arange(len(trains))}),
        meta,
    )


def protocol(amplitude="[0, 1] uA/cm**2", duration="1000 ms", **more):
    stimulus = ds.Stimulus(into="soma", shape="constant", amplitude=amplitude)
    return ds.Protocol(duration=duration, stimuli=[stimulus], name="by_hand", **more)
