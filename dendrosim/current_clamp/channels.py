"""Selection of the channel with the potential of the cell, and of the output that commands it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dendrosim.current_clamp.abf_parts import EPISODES, Channel, Header, Output
from dendrosim.errors import DendrosimError

# Factors to SI of the units that may occur in an ABF file
AMPERE = {"A": 1.0, "mA": 1e-3, "uA": 1e-6, "nA": 1e-9, "pA": 1e-12}
VOLT = {"V": 1.0, "mV": 1e-3, "uV": 1e-6}


def choose(
    path: str, header: Header, channel: Any = None, command_channel: Any = None
) -> tuple[int, Output]:
    """Return the number of the recorded potential and the output that commands its current.

    Without `channel`, the potential is the only channel in mV or uV.  A channel in V must be named,
    because it may be a trigger.  Without `command_channel`, the command is the output in ampere
    with the same number as the channel's input, or the only one that has a waveform.

    Parameters
    ----------
    channel, command_channel
        A name, or a number counted from 0; None to detect it.

    Raises
    ------
    DendrosimError
        If there is no such channel, if none has the right unit, or if more than one is possible;
        the message lists all channels with their units.
    """
    if channel is not None:
        at = _named(path, "channel", channel, header.channels, header)
        if header.channels[at].unit not in VOLT:
            raise _refused(path, header, f"channel = {channel!r} is no potential")
        potentials = [at]
    else:
        potentials = [k for k, c in enumerate(header.channels) if c.unit in ("mV", "uV")]
    if not potentials:
        why = "no channel in mV" if _any(header.channels, VOLT) else "no potential"
        raise _refused(path, header, f"not a current clamp: it has {why}")
    if command_channel is not None:
        at = _named(path, "command_channel", command_channel, header.outputs, header)
        if header.outputs[at].unit not in AMPERE:
            raise _refused(path, header, f"command_channel = {command_channel!r} is no current")
        outputs = [header.outputs[at]]
    else:
        outputs = [o for o in header.outputs if o.unit in AMPERE]
    if not outputs:
        raise _refused(path, header, "not a current clamp: it has no output in ampere")
    driven = [o for o in outputs if o.waveform and header.mode == EPISODES]
    # channel and output of a pair have the same number; outputs with a waveform have priority
    for some in (driven, outputs):
        pairs = [(k, o) for k in potentials for o in some if o.number == header.channels[k].number]
        if len(pairs) == 1:
            return pairs[0]
        if pairs:
            raise _refused(path, header, "several channels may be the potential of the cell")
        if len(some) == 1 and len(potentials) == 1:
            return potentials[0], some[0]
    raise _refused(path, header, "it is not clear which channel is commanded by which output")


def _any(channels: tuple[Channel, ...] | tuple[Output, ...], units: dict[str, float]) -> bool:
    return any(c.unit in units for c in channels)


def _named(path: str, key: str, wanted: Any, among: tuple, header: Header) -> int:
    names = [one.name for one in among]
    if isinstance(wanted, str) and names.count(wanted) == 1:
        return names.index(wanted)
    number = wanted
    if isinstance(wanted, str) and wanted.isdecimal():
        number = int(wanted)
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < len(among):
        return number
    raise _refused(path, header, f"{key} = {wanted!r} is neither the name nor the number of one")


def _refused(path: str, header: Header, why: str) -> DendrosimError:
    return DendrosimError(
        f"{path}: {why}; channels: {_listed(header.channels)}; outputs: "
        f"{_listed(header.outputs)}; name a potential with the key 'channel' and its current "
        "with 'command_channel'"
    )


def _listed(channels: Sequence[Channel | Output]) -> str:
    return ", ".join(f"{k} {c.name!r} in {c.unit or 'no unit'}" for k, c in enumerate(channels))
