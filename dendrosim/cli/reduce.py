"""The command ``reduce``: reduces a biophysical neuron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dendrosim.cli.options import JSON, check_writable, print_json
from dendrosim.cli.settings import prepare
from dendrosim.errors import DendrosimError

if TYPE_CHECKING:
    from dendrosim.model.model import Model
    from dendrosim.simulation.protocol import Protocol


@click.command("reduce")
@click.argument("model")
@click.option("--dt", help="Step of the reduced neuron; 0.1 ms, with --ladder 0.5 ms, by default.")
@click.option("--to", default="linear", show_default=True, help="linear, adaptive, spike_cut.")
@click.option("--ladder", "whole", is_flag=True, help="Make all reductions and compare them.")
@click.option("--method", help="exact (the default), euler, quasi_active.")
@click.option("--threshold", help='Somatic threshold, such as "-55 mV"; found by default.')
@click.option("--holding", help='Somatic potential that U = 0 stands for, such as "-65 mV".')
@click.option("--fit", multiple=True, help="Protocol to fit the reduction to.")
@click.option("--unseen", multiple=True, help="Protocol to judge the fitted neuron on.")
@click.option("--recording", help="ABF file that gives the current of protocol 'recorded'.")
@click.option("--seed", type=int, help="Seed of the search.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change a parameter.")
@click.option("--device", default="cpp", show_default=True, help="numpy, cython or cpp.")
@click.option("--out", help="Model file (.toml) to write; with --ladder, a folder.")
@JSON
def reduce_command(
    model: str, dt: str | None, to: str, whole: bool, method: str | None, threshold: str | None,
    holding: str | None, fit: tuple[str, ...], unseen: tuple[str, ...], recording: str | None,
    seed: int | None, settings: tuple[str, ...], device: str, out: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Reduce MODEL to a simpler neuron; print its coefficients and how it compares."""
    from dendrosim.reduction.reduction import reduce

    (neuron,), _ = prepare([model], None, None, settings)
    if recording is not None and not fit:
        raise DendrosimError(
            f"--recording {recording} has no effect without --fit recorded, because nothing is "
            "fitted to it"
        )
    fits, others = _protocols(fit, recording), _protocols(unseen, recording)
    if whole:
        ignored = {"--to": None if to == "linear" else to, "--method": method,
                   "--threshold": threshold, "--holding": holding}  # fmt: skip
        _ladder(neuron, dt, fits, others, seed, device, out, as_json, ignored)
        return
    check_writable(out, (".toml",))
    given = {"method": method, "threshold": threshold, "holding": holding, "seed": seed}
    options: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
    if fits or to != "linear":
        options["device"] = device
    dt = dt or "0.1 ms"
    result = reduce(neuron, dt, to=to, fit=fits or None, unseen=others, **options)
    if out:
        result.save(out)
    show = _show_cut if to == "spike_cut" else _show
    show(result, dt, as_json)
    for note in () if as_json else result.notes:
        click.echo(f"\n{note}")


def _show(result: Any, dt: str, as_json: bool) -> None:
    """Print a discrete reduction."""
    from dendrosim.cli.show import heading, table
    from dendrosim.model.quantities import describe

    scales = {name: describe(value) for name, value in result.scales.items()}
    report = None if result.report is None else result.report.to_dict("records")
    if as_json:
        print_json({
            "model": result.source, "method": result.method, "dt": dt, "scales": scales,
            "coefficients": dict(result.coefficients), "threshold": describe(result.threshold),
            "held": describe(result.held), "report": report, "notes": list(result.notes),
        })  # fmt: skip
        return
    click.echo(heading(f"{result.source}, {result.method}, dt {dt}"))
    click.echo(table(("coefficient", "value"), list(result.coefficients.items())))
    click.echo("")
    rows = [(f"one unit of {name}", value) for name, value in scales.items()]
    rows += [("threshold", describe(result.threshold)), ("U = 0 is", describe(result.held))]
    click.echo(table(("scale", "value"), rows))
    for row in report or []:
        click.echo("")
        name = f"{row['protocol']} ({row['role']})"
        click.echo(table((name, "value"), [(k, v) for k, v in row.items() if k not in
                                           ("protocol", "role")]))  # fmt: skip


def _show_cut(result: Any, dt: str, as_json: bool) -> None:
    """Print a spike cut."""
    from dendrosim.cli.show import heading, table

    rows = result.table.reset_index()
    if as_json:
        print_json({"model": result.source, "dt": dt, "spikes": result.spikes,
                    "table": rows.to_dict("records"), "notes": list(result.notes)})  # fmt: skip
        return
    click.echo(heading(f"{result.source}, spike cut, dt {dt}, {result.spikes} spikes measured"))
    click.echo(table(tuple(rows.columns), [tuple(row) for row in rows.itertuples(index=False)]))


def _ladder(
    neuron: Model, dt: str | None, fit: list[Protocol], unseen: list[Protocol], seed: int | None,
    device: str, out: str | None, as_json: bool, ignored: dict[str, str | None],
) -> None:  # fmt: skip
    """Print the ladder, and write its folder."""
    from dendrosim.cli.options import check_folder
    from dendrosim.reduction.ladder import FILES, ladder

    for name, value in ignored.items():
        if value is not None:
            raise DendrosimError(f"{name} {value} has no effect with --ladder, which makes all")
    check_folder(out, FILES)
    found = ladder(
        neuron, dt or "0.5 ms", fit=fit or None, unseen=unseen or None, device=device,
        seed=seed or 0,
    )  # fmt: skip
    if out:
        found.save(out)
    if as_json:
        print_json({"rungs": found.rungs.reset_index().to_dict("records"),
                    "table": found.table.to_dict("records"),
                    "notes": list(found.notes)})  # fmt: skip
        return
    click.echo(found.text())
    if out:
        click.echo(f"\nwritten to {out}")


def _protocols(names: tuple[str, ...], recording: str | None) -> list[Protocol]:
    """Load protocols; set the file of those whose stimulus is a recording."""
    from dendrosim.simulation.protocol_files import load_protocol

    loaded = [load_protocol(name) for name in names]
    if recording is None:
        return loaded
    if names and not any(s.shape == "recorded" for how in loaded for s in how.stimuli):
        raise DendrosimError(
            f"--recording {recording} has no effect: {', '.join(names)} has no stimulus of shape "
            "recorded"
        )
    return [
        how.with_(file=recording) if any(s.shape == "recorded" for s in how.stimuli) else how
        for how in loaded
    ]
