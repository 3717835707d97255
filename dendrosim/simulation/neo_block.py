"""Conversion of a recording to a Neo block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dendrosim.errors import DendrosimError
from dendrosim.model.quantities import DENSITY, parse_unit

if TYPE_CHECKING:
    import neo

    from dendrosim.simulation.recording import Recording


def as_block(recording: Recording) -> neo.Block:
    """Return a Neo block; see `Recording.to_neo`."""
    try:
        import neo
    except ImportError:
        raise DendrosimError("Neo is not installed: pip install 'dendrosim[ephys]'") from None
    block = neo.Block(name=recording.meta["model"], description=recording.meta["protocol"])
    for neuron, train in enumerate(recording.trains):
        segment = neo.Segment(name=f"neuron {neuron}", index=neuron)
        segment.spiketrains.append(
            neo.SpikeTrain(train, units="s", t_stop=max(recording.duration, *train, 0.0))
        )
        recorded = len(recording.times) > 1 and neuron in recording.recorded
        for name in recording.traces.data_vars if recorded else ():
            array = recording.traces[name]
            segment.analogsignals.append(
                neo.AnalogSignal(
                    array.values[:, [recording.column(neuron)]],
                    units=_neo_unit(array.attrs["units"]),
                    sampling_period=_neo_time(recording.meta["record_dt"]),
                    name=name,
                )
            )
        block.segments.append(segment)
    return block


def _neo_unit(unit: str) -> Any:
    import quantities as pq

    known = {"volt": pq.V, "second": pq.s, "hertz": pq.Hz, "1": pq.dimensionless}
    if unit in known:
        return known[unit]
    if parse_unit(unit).dim is DENSITY:
        return pq.A / pq.m**2
    if parse_unit(unit).dim is parse_unit("siemens/meter**2").dim:
        return pq.S / pq.m**2
    return pq.dimensionless


def _neo_time(seconds: float) -> Any:
    import quantities as pq

    return seconds * pq.s
