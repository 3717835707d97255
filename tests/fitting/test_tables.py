"""A table of a trace as the target of a fit: times and potentials in another unit are refused."""

from __future__ import annotations

import numpy as np
import pytest

import dendrosim as ds
from dendrosim import DendrosimError
from dendrosim.fitting.responses import Runs
from dendrosim.fitting.targets import targets_of

STEP = ds.load_protocol("step").with_(amplitude="1 uA/cm**2")
END = float(STEP.duration)
T = np.arange(0, END, 1e-3)
V = np.full(len(T), -0.065)


def read(tmp_path, times, v):
    path = tmp_path / "cell.csv"
    np.savetxt(path, np.stack([times, v], axis=1), delimiter=",", header="time,v", comments="")
    return targets_of(path, [STEP], Runs())


def test_seconds_and_volts_are_read(tmp_path):
    (target,) = read(tmp_path, T, V)
    assert len(target.responses) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t, v: (t * 1e3, v), "they should be in seconds"),
        (lambda t, v: (t * 1e6, v), "they should be in seconds"),
        (lambda t, v: (t + 10, v), "the table should hold this window"),
        (lambda t, v: (t[: len(t) // 4], v[: len(t) // 4]), "the table should hold this window"),
        (lambda t, v: (t, v * 1e3), "they should be in volt"),
        (lambda t, v: (t, np.where(t > 0.1, np.nan, v)), "line 103 holds a value that is not"),
        (lambda t, v: (t**2, v), "evenly spaced"),
        (lambda t, v: (t[::-1], v), "evenly spaced"),
        (lambda t, v: (t * 0, v), "evenly spaced"),
    ],
)
def test_other_units_and_parts_are_refused(tmp_path, change, told):
    with pytest.raises(DendrosimError, match=told):
        read(tmp_path, *change(T, V))
