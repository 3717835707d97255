"""Passive properties of a cell: those of circuits whose properties are known."""

from __future__ import annotations

import numpy as np
import pytest

from dendrosim import DendrosimError
from dendrosim.current_clamp import ClampRecording, cell_properties

DT = 5e-5
CURRENTS = np.array([-100e-12, -50e-12, 0.0, 50e-12])


def recording(response, rest=-70e-3, noise=0.0, spike=False, start=0.1, step=0.5):
    """Return sweeps of a cell whose response to a step is `response(t)` in ohm."""
    t = np.arange(round((start + step + 0.1) / DT)) * DT
    inside = (t >= start - 1e-12) & (t < start + step - 1e-12)
    command = inside[:, None] * CURRENTS
    v = rest + inside[:, None] * np.where(inside, response(t - start), 0)[:, None] * CURRENTS
    v += np.random.default_rng(1).normal(0, noise, v.shape)
    if spike:
        v[round(0.3 / DT) : round(0.301 / DT)] = 40e-3
    return ClampRecording("cell.abf", DT, command, v)


def circuit(resistance, tau, series=0.0, fast=0.0):
    """Return the response of one compartment, or of two, behind a series resistance."""
    return lambda t: (
        series
        + resistance * (1 - fast) * -np.expm1(-t / tau)
        + resistance * fast * -np.expm1(-t / (0.1 * tau))
    )


@pytest.mark.parametrize("noise", [0.0, 0.2e-3])
@pytest.mark.parametrize("series", [0.0, 12e6, -5e6])
def test_one_compartment_behind_a_resistance(series, noise):
    found = cell_properties(recording(circuit(120e6, 20e-3, series), noise=noise))
    near = 0.005 if noise == 0 else 0.03
    near += max(-series, 0) / 120e6  # a jump against the step is not subtracted
    assert found.resistance == pytest.approx(120e6, rel=near)
    assert found.steady_resistance == pytest.approx(120e6, rel=near)
    assert found.tau == pytest.approx(20e-3, rel=2 * near)
    assert found.capacitance == pytest.approx(20e-3 / 120e6, rel=2 * near)
    near = 0.6e6 if noise == 0 else 2e6
    assert found.jump == pytest.approx(series, abs=near)
    assert found.series_resistance == pytest.approx(max(series, 0), abs=near)
    assert ("jumps against" in " ".join(found.doubts)) == (series < 0)
    assert found.rest == pytest.approx(-70e-3, abs=1e-5)
    assert found.steps == 2


def test_the_slower_of_two_time_constants_is_that_of_the_membrane():
    found = cell_properties(recording(circuit(120e6, 20e-3, fast=0.2)))
    assert found.tau == pytest.approx(20e-3, rel=0.03)


def test_a_sag_is_not_part_of_the_input_resistance():
    def with_sag(t):
        return 120e6 * -np.expm1(-t / 15e-3) - 30e6 * -np.expm1(-t / 100e-3)

    found = cell_properties(recording(with_sag))
    assert found.steady_resistance == pytest.approx(90e6, rel=0.03)
    t = np.arange(0, 0.5, DT)
    assert found.resistance == pytest.approx(with_sag(t).max(), rel=0.02)


@pytest.mark.parametrize("options", [{"step": 0.02}, {"spike": True}, {"start": 0.05}])
def test_without_a_step_to_use_there_is_no_estimate(options):
    with pytest.raises(DendrosimError, match="no sweep has a step of at least 50 ms below"):
        cell_properties(recording(circuit(120e6, 20e-3), **options))
