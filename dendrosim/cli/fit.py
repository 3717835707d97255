"""The command `dendrosim fit`."""

from __future__ import annotations

from typing import Any

import click

from dendrosim.cli.options import JSON, check_folder, print_json
from dendrosim.cli.settings import SET, prepare
from dendrosim.errors import DendrosimError


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
@SET
@click.option("--cost", multiple=True, help="features (default), voltage, spikes or fi; a sum.")
@click.option("--feature", "features", multiple=True, help="Feature to compare; all by default.")
@click.option("--optimiser", default="cma", show_default=True, help="cma or de.")
@click.option("--population", default=64, show_default=True, help="Candidates per generation.")
@click.option("--generations", default=60, show_default=True, help="Generations of each seed.")
@click.option("--seeds", default="0", show_default=True, help="Seeds of separate searches: 0,1,2.")
@click.option("--refine/--no-refine", default=True, show_default=True,
              help="Least squares on the potential after the search.")  # fmt: skip
@click.option("--dt", help='Time step, such as "0.05 ms".')
@click.option("--method", help="Integration method of Brian2, such as rk4.")
@click.option("--device", default="cpp", show_default=True, help="numpy, cython or cpp.")
@click.option("--out", help="Folder to write into; an interrupted fit goes on there.")
@JSON
def fit(
    model: str, data: tuple[str, ...], protocols: tuple[str, ...], unseen: tuple[str, ...],
    unseen_to: tuple[str, ...], free: tuple[str, ...], settings: tuple[str, ...],
    cost: tuple[str, ...], features: tuple[str, ...], seeds: str, out: str | None, as_json: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Find the values of MODEL whose responses are closest to those of a target."""
    from dendrosim.fitting import fit as find
    from dendrosim.simulation.protocol_files import load_protocol

    ranges = _ranges(free)
    check_folder(out)
    (neuron,), _ = prepare([model], None, None, settings)
    how = [_protocol(name, data, load_protocol) for name in protocols]
    others = [_protocol(name, unseen_to, load_protocol) for name in unseen]
    targets: Any = data[0] if len(data) == 1 else list(data)
    result = find(
        neuron, targets, ranges, protocol=how, unseen=others, unseen_data=list(unseen_to) or None,
        cost=list(cost) or "features", features=list(features) or None, seed=_seeds(seeds),
        out=out, **options,
    )  # fmt: skip
    if as_json:
        print_json(result.to_json())
        return
    click.echo(result.text())
    if out:
        click.echo(f"\nwritten to {out}")


def _ranges(free: tuple[str, ...]) -> dict[str, str | None]:
    ranges: dict[str, str | None] = {}
    for one in free:
        name, equals, text = (part.strip() for part in one.partition("="))
        if not name or (equals and not text):
            raise DendrosimError(f"--free {one!r} is not NAME or NAME=LOW..HIGH UNIT")
        if name in ranges:
            raise DendrosimError(f"--free {name} is given twice")
        ranges[name] = text or None
    return ranges


def _seeds(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.strip().isdigit() for part in parts):
        raise DendrosimError(f"--seeds {text!r} should be whole numbers, such as 0,1,2")
    return [int(part) for part in parts]


def _protocol(name: str, data: tuple[str, ...], load: Any) -> Any:
    """Return a protocol; the recorded one plays the current of its file."""
    protocol = load(name)
    files = [one for one in data if one.lower().endswith(".abf")]
    if protocol.name == "recorded" and len(files) == 1:
        return protocol.with_(file=files[0])
    return protocol
