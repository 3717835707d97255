"""Settings on the command line: ``--set NAME=VALUE`` changes the one value that NAME identifies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from dendrosim.cli.options import notes_as_lines
from dendrosim.errors import DendrosimError, at, did_you_mean
from dendrosim.shelves import toml_value

if TYPE_CHECKING:
    from dendrosim.model.model import Model
    from dendrosim.simulation.protocol import Protocol

SET = click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE",
    help='Change a value: g_c="5 mS/cm**2", amplitude="1 uA/cm**2", duration="1 s", seed=4, '
    'sweeps="[0, 2]". A name that more than one place has needs the place: parameters.tau, '
    "stimuli.0.tau (counted from 0); an initial state and the measured window always: initial.v_s, "
    "measure.start.",
)  # fmt: skip


def prepare(
    names: Sequence[str], protocol: str | None, recording: str | None, settings: Sequence[str]
) -> tuple[list[Model], Protocol | None]:
    """Load the models and the protocol, and apply every NAME=VALUE.

    A parameter or initial state is one place, even if several models have it.

    Raises
    ------
    DendrosimError
        If a setting is not NAME=VALUE, or its name fits no place or several places.
    """
    from dendrosim.model.toml import load_model
    from dendrosim.simulation.protocol_files import load_protocol

    notes_as_lines()
    models = [load_model(name) for name in names]
    how = None if protocol is None else load_protocol(protocol)
    if how is not None and recording is not None:
        how = how.with_(file=recording)
    changes: dict[str, Any] = {}
    stimuli: dict[int, dict[str, Any]] = {}
    for setting in settings:
        name, equals, value = (part.strip() for part in setting.partition("="))
        if not equals or not name or not value:
            raise DendrosimError(f"--set {setting!r} is not NAME=VALUE")
        kind, *rest = _place(name, models, how).split(".")
        if kind == "protocol":
            changes["duration"] = value
        elif kind == "measure":
            changes["measure"] = {**changes.get("measure", how.given_measure), rest[0]: value}
        elif kind == "stimuli":
            stimuli.setdefault(int(rest[0]), {})[rest[1]] = _option(rest[1], value)
        else:
            models = [
                m.with_(**{kind: {rest[0]: value}}) if rest[0] in getattr(m, kind) else m
                for m in models
            ]
    # apply all at once: grids must have equal lengths, and each change may set a new length
    return models, how and how.with_(stimuli=stimuli, **changes)


def _place(name: str, models: Sequence[Model], how: Protocol | None) -> str:
    """Return the place for a name, as a full name such as ``stimuli.0.tau``."""
    places = dict.fromkeys(_places(models, how))
    if name in places:
        return name
    # initial values and the measured window require the full name: a bare state name is not its
    # initial value, and start or stop could also belong to a stimulus
    whole = ("initial.", "measure.")
    bare = {place: place.rpartition(".")[2] for place in places if place[:8] not in whole}
    found = [place for place, last in bare.items() if last == name]
    if len(found) > 1:
        raise DendrosimError(f"--set {name} is not one value; write one of {', '.join(found)}")
    if not found:
        owners = " and ".join([m.name for m in models] + ([how.name] if how else []))
        state = f"initial.{name}"
        valid = places if "." in name else {*bare.values(), *(places.keys() - bare.keys())}
        raise DendrosimError(
            f"--set {name}: no such value in {owners}; "
            + (f"did you mean {state!r}?" if state in places else did_you_mean(name, valid))
        )
    return found[0]


def _places(models: Sequence[Model], how: Protocol | None) -> Iterator[str]:
    """Yield the full name of every value that can be set."""
    for model in models:
        yield from (f"parameters.{name}" for name in model.parameters)
        yield from (f"initial.{name}" for name in model.initial)
    if how is not None:
        yield from ("protocol.duration", "measure.start", "measure.stop")
        for k, stimulus in enumerate(how.stimuli):
            yield from (f"stimuli.{k}.{key}" for key in stimulus.keys)


def _option(key: str, text: str) -> Any:
    """Parse a value that is not a quantity, such as a seed or sweeps, as in a protocol file."""
    if key not in ("seed", "independent", "sweeps", "into", "channel", "command_channel"):
        return text
    # A bare word is the name of a place; otherwise the stimulus will raise an error
    with at(f"--set {key}"):
        return toml_value(text)
