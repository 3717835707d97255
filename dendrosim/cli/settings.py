"""Settings on the command line: ``--set NAME=VALUE`` changes the one value that NAME identifies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import click

from dendrosim.cli.options import notes_as_lines
from dendrosim.errors import DendrosimError, at
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


@overload
def prepare(
    names: Sequence[str], protocol: str, recording: str | None, settings: Sequence[str]
) -> tuple[list[Model], Protocol]: ...
@overload
def prepare(
    names: Sequence[str], protocol: None, recording: str | None, settings: Sequence[str]
) -> tuple[list[Model], None]: ...
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
    from dendrosim.model.gates import check_gate
    from dendrosim.model.toml import load_model
    from dendrosim.simulation.protocol_files import load_protocol
    from dendrosim.simulation.value_names import full_name

    notes_as_lines()
    models = [load_model(name) for name in names]
    how = None if protocol is None else load_protocol(protocol)
    if how is not None and recording is not None:
        how = how.with_(file=recording)
    changes: dict[str, Any] = {}
    stimuli: dict[int, dict[str, Any]] = {}
    seen: dict[str, str] = {}
    for setting in settings:
        name, equals, value = (part.strip() for part in setting.partition("="))
        if not equals or not name or not value:
            raise DendrosimError(f"--set {setting!r} is not NAME=VALUE")
        full = full_name(name, models, how, "--set ")
        if full in seen:
            also = "" if seen[full] == name else f", as {seen[full]} and as {name}"
            raise DendrosimError(f"--set {full} is given twice{also}")
        seen[full] = name
        kind, *rest = full.split(".")
        if kind == "protocol":
            changes["duration"] = value
        elif kind == "measure":
            assert how is not None  # only a protocol has such a place
            changes["measure"] = {**changes.get("measure", how.given_measure), rest[0]: value}
        elif kind == "stimuli":
            stimuli.setdefault(int(rest[0]), {})[rest[1]] = _option(rest[1], value)
        else:
            change: dict[str, Any] = {kind: {rest[0]: value}}  # parameters or initial
            models = [m.with_(**change) if rest[0] in getattr(m, kind) else m for m in models]
            for model in models if kind == "initial" else ():
                if rest[0] in model.initial:
                    check_gate(model, rest[0], model.initial[rest[0]])
    # apply all at once: grids must have equal lengths, and each change may set a new length
    return models, how and how.with_(stimuli=stimuli, **changes)


def _option(key: str, text: str) -> Any:
    """Parse a value that is not a quantity, such as a seed or sweeps, as in a protocol file."""
    if key not in ("seed", "independent", "sweeps", "into", "channel", "command_channel"):
        return text
    # A bare word is the name of a place; otherwise the stimulus will raise an error
    with at(f"--set {key}"):
        return toml_value(text)
