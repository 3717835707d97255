"""The time grid: laws of steps and windows that hold whatever the step."""

import re
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dendrosim import time_grid

STEP = st.sampled_from([1e-6, 1e-5, 2e-5, 2.5e-5, 5e-5, 1e-4, 3e-4, 1e-3, 0.1])


@given(STEP, st.integers(1, 10**7))
def test_a_whole_number_of_steps_is_that_many(dt, n):
    assert time_grid.steps_in(n * dt, dt) == n == time_grid.multiple_of(n * dt, dt)
    assert time_grid.samples_over(n * dt, dt) == n + 1
    # the same time as a sum of rounded steps is the same step
    assert time_grid.step_at(np.cumsum(np.full(min(n, 10**5), dt))[-1], dt) == min(n, 10**5)


@given(STEP, st.integers(1, 10**6), st.floats(0.01, 0.99))
def test_a_part_of_a_step_takes_a_step_more(dt, n, part):
    assert time_grid.steps_in((n + part) * dt, dt) == n + 1
    assert time_grid.multiple_of((n + part) * dt, dt) is None


@given(STEP, st.integers(1, 10**6), st.integers(1, 10**6))
def test_windows_that_meet_hold_each_spike_once(dt, first, more):
    edges = np.array([0, first, first + more]) * dt
    spikes = np.arange(1, min(first + more, 3000) + 1) * dt
    spikes = np.concatenate([spikes, edges[1:]])
    inside = [time_grid.in_window(spikes, a, b) for a, b in pairwise(edges)]
    assert (inside[0].astype(int) + inside[1] == 1).all()


def test_a_step_that_is_no_multiple_has_none():
    assert time_grid.multiple_of(0.0, 1e-4) is None
    assert time_grid.multiple_of(1e-5, 1e-4) is None


@given(STEP, st.floats(1e-6, 1e4))
def test_a_compiled_program_counts_as_python_does(dt, duration):
    text = time_grid.STEPS_CPP.format(duration=repr(duration), dt=repr(dt))
    by_hand = re.sub(r"^\(int64_t\)ceil", "np.ceil", text)  # the same arithmetic of doubles
    assert int(eval(by_hand)) == time_grid.steps_in(duration, dt)
