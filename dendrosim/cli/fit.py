"""The command `dendrosim fit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from dendrosim.cli.options import (
    JSON,
    JUNCTION,
    SERIES_RESISTANCE,
    check_folder,
    goes_on,
    print_json,
)
from dendrosim.cli.settings import SET, prepare
from dendrosim.errors import DendrosimError

if TYPE_CHECKING:
    from dendrosim.model.model import Model
    from dendrosim.simulation.protocol import Protocol


@click.command()
@click.argument("model")
@click.option("--to", "data", multiple=True, required=True, metavar="TARGET",
              help="A model, whose runs are the target; or a recording (.nc, .abf, .csv) for each "
              "protocol.")  # fmt: skip
@click.option("--protocol", "protocols", multiple=True, required=True,
              help="Protocol under which both are compared; may be repeated.")  # fmt: skip
@click.option("--unseen", multiple=True, help="Protocol that only judges the fit.")
@click.option("--unseen-to", multiple=True, metavar="TARGET",
              help="Recording for each --unseen, if --to is not a model.")  # fmt: skip
@click.option("--free", multiple=True, required=True, metavar="NAME[=LOW..HIGH UNIT]",
              help='Value to find: g_NaP="0.05..0.3 mS/cm**2"; without a range, a quarter to four '
              "times the model's value.")  # fmt: skip
@click.option("--sweeps", help="Fitted sweeps of a recorded cell: 0,2,6; all by default.")
@click.option("--unseen-sweeps", help="Its sweeps that only judge the fit: 1,3,7.")
@click.option("--passive", multiple=True, metavar="NAME[=LOW..HIGH UNIT]",
              help="Value that is found first, from hyperpolarising sweeps of a recorded cell: "
              "g_L, E_L, area.")  # fmt: skip
@SERIES_RESISTANCE
@JUNCTION
@SET
@click.option("--cost", multiple=True, help="features (default), voltage, spikes or fi; a sum.")
@click.option("--feature", "features", multiple=True, help="Feature to compare; all by default.")
@click.option("--optimiser", default="cma", show_default=True, help="cma or de.")
@click.option("--population", default=64, show_default=True, help="Candidates per generation.")
@click.option("--generations", default=60, show_default=True, help="Generations of each seed.")
@click.option("--seeds", default="0", show_default=True, help="Seeds of separate searches: 0,1,2.")
@click.option("--jobs", default=1, show_default=True, help="Processes; each searches one seed.")
@click.option("--refine/--no-refine", default=True, show_default=True,
              help="Least squares on the potential after the search.")  # fmt: skip
@click.option("--posterior", "candidates", type=int, metavar="N",
              help="Posterior of the values from N candidates, a power of two: 1024.")  # fmt: skip
@click.option("--dt", help='Time step, such as "0.05 ms".')
@click.option("--method", help="Integration method of Brian2, such as rk4.")
@click.option("--device", default="cpp", show_default=True, help="numpy, cython or cpp.")
@click.option("--out", help="Folder to write into; an interrupted fit goes on there.")
@JSON
def fit(
    model: str, data: tuple[str, ...], protocols: tuple[str, ...], unseen: tuple[str, ...],
    unseen_to: tuple[str, ...], free: tuple[str, ...], passive: tuple[str, ...],
    sweeps: str | None, unseen_sweeps: str | None, settings: tuple[str, ...],
    cost: tuple[str, ...], features: tuple[str, ...], seeds: str, candidates: int | None,
    out: str | None, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Find the values of MODEL whose responses are closest to those of a target.

    The target is a model or one recording per protocol.  For a recorded cell, the protocol is
    recorded, and --unseen-sweeps judges the fit on other sweeps of the same file.
    """
    from dendrosim.fitting import fit as find
    from dendrosim.fitting.posterior.infer import read_settings

    given, first = ranges(free, "--free"), ranges(passive, "--passive")
    check_folder(out)
    if candidates is not None:
        read_settings(candidates)  # before the fit, which may take long
    neuron, how = _prepared(model, protocols, data, sweeps, settings, "--sweeps")
    targets: Any = data[0] if len(data) == 1 else list(data)
    judges: Any = list(unseen_to) or None
    if unseen_sweeps is not None:
        if unseen or unseen_to:
            raise DendrosimError("--unseen-sweeps replaces --unseen and --unseen-to")
        _, others = _prepared(model, protocols, data, unseen_sweeps, settings, "--unseen-sweeps")
        judges = targets
    else:
        _, others = _prepared(model, unseen, unseen_to, None, settings, "--unseen")
    with goes_on(out):
        result = find(
            neuron, targets, given, protocol=how, unseen=others, unseen_data=judges,
            passive=first or None, cost=list(cost) or "features",
            features=list(features) or None, seed=whole_numbers(seeds, "--seeds"), out=out,
            **options,
        )  # fmt: skip
    if not as_json:
        click.echo(result.text())
    found = result.to_json()
    if candidates is not None:
        posterior = result.posterior(n=candidates)
        if out:
            posterior.save(out)
        if not as_json:
            click.echo(f"\n{posterior.text()}")
        found["posterior"] = posterior.to_json()
    if as_json:
        print_json(found)
    elif out:
        click.echo(f"\nwritten to {out}")


def _prepared(
    model: str, names: Sequence[str], data: Sequence[str], sweeps: str | None,
    settings: Sequence[str], option: str,
) -> tuple[Model, list[Protocol]]:  # fmt: skip
    """Return the model, and the protocols with their recordings and sweeps."""
    files = [one for one in data if one.lower().endswith(".abf")]
    cells = [name for name in names if name == "recorded"]
    if cells and len(files) != len(cells):
        raise DendrosimError(
            f"{len(cells)} protocol(s) recorded for {len(files)} recording(s) (.abf); give one each"
        )
    if sweeps is not None:
        if not cells:
            raise DendrosimError(f"{option} needs --protocol recorded and --to FILE.abf")
        if any(one.partition("=")[0].strip().rpartition(".")[2] == "sweeps" for one in settings):
            raise DendrosimError(f"{option} and --set sweeps name the sweeps twice; give one")
        settings = [*settings, f"sweeps={whole_numbers(sweeps, option)}"]
    left, protocols = iter(files), []
    (neuron,), _ = prepare([model], None, None, [])  # settings need the protocols they belong to
    for name in names:
        file = next(left) if name == "recorded" else None
        (neuron,), protocol = prepare([model], name, file, settings)
        protocols.append(protocol)
    return neuron, protocols


def ranges(given: Sequence[str], option: str) -> dict[str, str | None]:
    """Return names and ranges of NAME or NAME=LOW..HIGH UNIT."""
    found: dict[str, str | None] = {}
    for one in given:
        name, equals, text = (part.strip() for part in one.partition("="))
        if not name or (equals and not text):
            raise DendrosimError(f"{option} {one!r} is not NAME or NAME=LOW..HIGH UNIT")
        if name in found:
            raise DendrosimError(f"{option} {name} is given twice")
        found[name] = text or None
    return found


def whole_numbers(text: str, option: str) -> list[int]:
    """Return the numbers of a list such as ``0,1,2``."""
    parts = text.split(",")
    if not all(part.strip().isdigit() for part in parts):
        raise DendrosimError(f"{option} {text!r} should be whole numbers, such as 0,1,2")
    return [int(part) for part in parts]
