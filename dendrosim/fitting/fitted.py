"""What the fitted model says about a recorded target."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import volt
from numpy.typing import NDArray

from dendrosim.fitting.responses import Runs, are_samples
from dendrosim.fitting.spike_times import Threshold, threshold_of
from dendrosim.model.model import Model
from dendrosim.simulation.run import TRACE_STEP, trace_step

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """What a target takes from the fitted model: its threshold, and the step of its samples.

    Attributes
    ----------
    threshold
        None for the times of `find_spikes`.
    step
        Time between the samples of its recorded potential in s.
    rest
        Potential at which its soma begins in V; None for a model without such potentials.
    """

    threshold: Threshold | None = None
    step: float = TRACE_STEP
    rest: float | None = None

    @classmethod
    def of(cls, model: Model | None, runs: Runs, free: Collection[str]) -> Fitted:
        """Return that of a model; of none, the usual step."""
        step = None if model is None else runs.step_of(model)
        if model is None or step is None:
            return cls()
        begins = model.initial.get(model.potentials.get("soma", ""))
        rest = None
        if begins is not None and begins.ndim == 0 and begins.dim is volt.dim:
            rest = float(begins)
        return cls(threshold_of(model, step, free), float(trace_step(step)), rest)

    def thinned(self, times: Array, v: Any) -> tuple[Array, Any]:
        """Return the samples that candidates have as well, of a potential with more of them."""
        if v is None or len(times) < 2:
            return times, v
        every = round(self.step / float((times[-1] - times[0]) / (len(times) - 1)))
        if every < 2:
            return times, v
        # from the first sample that candidates have, if one has
        for first in range(every):
            own = times[first::every]
            if are_samples(own, self.step):
                return own, v[first::every]
        return times[::every], v[::every]
