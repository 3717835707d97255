"""The command ``reduce``: reduces a biophysical neuron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dendrosim.cli.options import JSON, JUNCTION, SERIES_RESISTANCE, check_writable, print_json
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
@click.option("--recording", metavar="FILE", help="Recorded cell (.abf): with --to adaptive the "
              "cell to reduce, with --fit recorded the current into MODEL.")  # fmt: skip
@click.option("--sweeps", help="Fitted sweeps of the recorded cell: 0,2,6.")
@click.option("--unseen-sweeps", help="Its sweeps that only judge the fit: 1,3,7.")
@click.option("--passive", multiple=True, metavar="NAME[=LOW..HIGH UNIT]",
              help="Value of MODEL that the cell's hyperpolarising sweeps tell; by default g_L, "
              "E_L, area and g_NaP.")  # fmt: skip
@SERIES_RESISTANCE
@JUNCTION
@click.option("--measure", metavar="START..STOP",
              help='Window of each sweep whose spikes count, "100..600 ms".')  # fmt: skip
@click.option("--seeds", help="Seeds of separate searches: 0,1,2; the best is kept.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change a parameter.")
@click.option("--device", default="cpp", show_default=True, help="numpy, cython or cpp.")
@click.option("--out", help="Model file (.toml) to write; with --ladder, a folder.")
@JSON
def reduce_command(
    model: str, dt: str | None, to: str, whole: bool, method: str | None, threshold: str | None,
    holding: str | None, fit: tuple[str, ...], unseen: tuple[str, ...], recording: str | None,
    sweeps: str | None, unseen_sweeps: str | None, passive: tuple[str, ...],
    series_resistance: str | None, junction: str | None, measure: str | None, seeds: str | None,
    settings: tuple[str, ...], device: str, out: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Reduce MODEL to a simpler neuron; print its coefficients and how it compares.

    With --to adaptive and a --recording, the cell of the recording is reduced: MODEL gives the two
    compartments that the search begins with.
    """
    from dendrosim.reduction.reduction import reduce

    (neuron,), _ = prepare([model], None, None, settings)
    electrode = {"series_resistance": series_resistance, "junction": junction}
    only_cells = {"--sweeps": sweeps, "--unseen-sweeps": unseen_sweeps,
                  "--passive": " ".join(passive) or None, "--series-resistance": series_resistance,
                  "--junction": junction, "--measure": measure}  # fmt: skip
    if recording is not None and to == "adaptive" and not (fit or unseen or whole):
        refused = {"--method": method, "--threshold": threshold, "--holding": holding}
        _refuse(refused, "for a recorded cell")
        check_writable(out, (".toml",))
        found = _of_cell(neuron, recording, dt or "0.5 ms", sweeps, unseen_sweeps, passive, seeds,
                         device, measure, electrode)  # fmt: skip
        _finish(found, dt or "0.5 ms", out, as_json, _show)
        return
    _refuse(only_cells, "without --to adaptive and a --recording to reduce")
    if recording is not None and not fit:
        raise DendrosimError(
            f"--recording {recording} has no effect without --fit recorded, because nothing is "
            "fitted to it"
        )
    fits, others = _protocols(fit, recording), _protocols(unseen, recording)
    if whole:
        ignored = {"--to": None if to == "linear" else to, "--method": method,
                   "--threshold": threshold, "--holding": holding}  # fmt: skip
        _ladder(neuron, dt, fits, others, seeds, device, out, as_json, ignored)
        return
    check_writable(out, (".toml",))
    given = {"method": method, "threshold": threshold, "holding": holding, "seed": _seeds(seeds)}
    options: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
    if fits or to != "linear":
        options["device"] = device
    dt = dt or "0.1 ms"
    result = reduce(neuron, dt, to=to, fit=fits or None, unseen=others, **options)
    _finish(result, dt, out, as_json, _show_cut if to == "spike_cut" else _show)


def _finish(result: Any, dt: str, out: str | None, as_json: bool, show: Any) -> None:
    """Write and print a reduction."""
    if out:
        result.save(out)
    show(result, dt, as_json)
    for note in () if as_json else result.notes:
        click.echo(f"\n{note}")


def _of_cell(
    neuron: Model, recording: str, dt: str, sweeps: str | None, unseen: str | None,
    passive: tuple[str, ...], seeds: str | None, device: str, measure: str | None,
    electrode: dict[str, str | None],
) -> Any:  # fmt: skip
    """Return the reduction of a recorded cell."""
    from dendrosim.cli.fit import ranges, whole_numbers
    from dendrosim.reduction.cell import reduce_cell

    return reduce_cell(
        recording, neuron, dt, passive=ranges(passive, "--passive") or None, device=device,
        measure=_window(measure), series_resistance=electrode["series_resistance"],
        junction=electrode["junction"],
        seed=_seeds(seeds) or 0,
        sweeps=None if sweeps is None else whole_numbers(sweeps, "--sweeps"),
        unseen_sweeps=None if unseen is None else whole_numbers(unseen, "--unseen-sweeps"),
    )  # fmt: skip


def _window(text: str | None) -> dict[str, str] | None:
    """Return start and stop of START..STOP with a unit."""
    if text is None:
        return None
    start, dots, rest = text.partition("..")
    stop, _, unit = rest.strip().partition(" ")
    if not dots or not start.strip() or not stop or not unit.strip():
        raise DendrosimError(f"--measure {text!r} is not START..STOP UNIT, such as 100..600 ms")
    return {"start": f"{start.strip()} {unit}", "stop": f"{stop} {unit}"}


def _seeds(text: str | None) -> list[int] | None:
    from dendrosim.cli.fit import whole_numbers

    return None if text is None else whole_numbers(text, "--seeds")


def _refuse(given: dict[str, str | None], why: str) -> None:
    for name, value in given.items():
        if value is not None:
            raise DendrosimError(f"{name} {value} has no effect {why}")


def _show(result: Any, dt: str, as_json: bool) -> None:
    """Print a discrete reduction."""
    from dendrosim.cli.show import heading, table
    from dendrosim.model.quantities import describe

    scales = {name: describe(value) for name, value in result.scales.items()}
    report = None if result.report is None else result.report.to_dict("records")
    searches = None if result.searches is None else result.searches.reset_index()
    if as_json:
        print_json({
            "model": result.source, "method": result.method, "dt": dt, "scales": scales,
            "coefficients": dict(result.coefficients), "threshold": describe(result.threshold),
            "held": describe(result.held), "report": report, "notes": list(result.notes),
            "searches": None if searches is None else searches.to_dict("records"),
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
    if searches is not None and len(searches) > 1:
        click.echo("\nseparate searches, of which the best is kept:")
        rows = [tuple(row) for row in searches.itertuples(index=False)]
        click.echo(table(tuple(searches.columns), rows))


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
    neuron: Model, dt: str | None, fit: list[Protocol], unseen: list[Protocol], seeds: str | None,
    device: str, out: str | None, as_json: bool, ignored: dict[str, str | None],
) -> None:  # fmt: skip
    """Print the ladder, and write its folder."""
    from dendrosim.cli.options import check_folder
    from dendrosim.reduction.ladder import FILES, ladder

    _refuse(ignored, "with --ladder, which makes all")
    check_folder(out, FILES)
    found = ladder(
        neuron, dt or "0.5 ms", fit=fit or None, unseen=unseen or None, device=device,
        seed=_seeds(seeds) or 0,
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
