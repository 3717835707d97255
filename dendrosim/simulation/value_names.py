"""Names of the values of models and protocols: ``parameters.g_c``, ``stimuli.0.amplitude``.

The command line, sweeps and fits identify a value by the same names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.model.model import Model
from dendrosim.simulation.protocol import Protocol

#: A bare state name is not its initial value, and start or stop could also belong to a stimulus.
_WHOLE = ("initial.", "measure.")


def value_names(models: Sequence[Model], protocol: Protocol | None) -> Iterator[str]:
    """Yield the full name of every value of the models and the protocol.

    A parameter or initial state of several models is one name, yielded several times.
    """
    for model in models:
        yield from (f"parameters.{name}" for name in model.parameters)
        yield from (f"initial.{name}" for name in model.initial)
    if protocol is not None:
        yield from ("protocol.duration", "measure.start", "measure.stop")
        for k, stimulus in enumerate(protocol.stimuli):
            yield from (f"stimuli.{k}.{key}" for key in stimulus.keys)


def full_name(
    name: str, models: Sequence[Model], protocol: Protocol | None, what: str = "",
    without: tuple[str, ...] = (),
) -> str:  # fmt: skip
    """Return the full name of a value, such as ``stimuli.0.tau`` for ``tau``.

    Parameters
    ----------
    name
        The full name, or its last part if that is unique.  An initial state and the measured window
        need the full name.
    models, protocol
        Owners of the values.
    what
        Beginning of an error message, such as ``"--set "``.
    without
        Beginnings of names that are not valid here, such as ``"measure."``.

    Raises
    ------
    DendrosimError
        If there is no such value, or if several values have this name.
    """
    names = dict.fromkeys(n for n in value_names(models, protocol) if not n.startswith(without))
    if name in names:
        return name
    bare = {full: full.rpartition(".")[2] for full in names if not full.startswith(_WHOLE)}
    found = [full for full, last in bare.items() if last == name]
    if len(found) > 1:
        raise DendrosimError(f"{what}{name} is not one value; write one of {', '.join(found)}")
    if not found:
        owners = [model.name for model in models] + ([protocol.name] if protocol else [])
        state = f"initial.{name}"
        valid = names if "." in name else {*bare.values(), *(names.keys() - bare.keys())}
        raise DendrosimError(
            f"{what}{name}: no such value in {' and '.join(owners)}; "
            + (f"did you mean {state!r}?" if state in names else did_you_mean(name, valid))
        )
    return found[0]
