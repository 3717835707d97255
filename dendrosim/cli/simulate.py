"""Commands for simulations: one model, a comparison of several, and the demonstration."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dendrosim.cli.options import JSON, check_folder, check_writable, print_json
from dendrosim.cli.settings import SET, prepare
from dendrosim.errors import DendrosimError, DendrosimWarning

if TYPE_CHECKING:
    from dendrosim.model.model import Model
    from dendrosim.simulation.protocol import Protocol
    from dendrosim.simulation.recording import Recording


def _running(*, several: bool) -> Callable:
    """Return a decorator that adds the options of all commands for simulations."""
    options = [
        click.option("--protocol", help="Name or path of a protocol."),
        click.option("--recording", help="ABF file that gives the current of protocol 'recorded'."),
        SET,
        click.option("--grids", help="Several grids: zip pairs their values, cross combines all."),
        click.option("--dt", help='Time step, such as "0.05 ms".'),
        click.option("--method", help="Integration method of Brian2, such as rk4."),
        click.option("--device", default="cpp", show_default=True, help="numpy, cython or cpp."),
        click.option("--threads", default=1, show_default=True, help="Threads of device cpp."),
        click.option("--seed", type=int, help="Seed of the noise."),
        click.option("--out", help="Folder to write into." if several else
                     "File to write: .nc (recording), .csv (spikes) or .png (figure)."),
        JSON,
    ]  # fmt: skip

    def add(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.command()
@click.argument("model")
@click.argument("protocol_name", required=False, metavar="[PROTOCOL]")
@click.option("--n", default=1, show_default=True, help="Neurons for each point of a grid.")
@click.option(
    "--diverged",
    default="raise",
    show_default=True,
    help="A neuron that diverges: raise ends the run, nan freezes the neuron.",
)
@click.option("--record", multiple=True, help="Variable to record; the potentials by default.")
@click.option("--record-neuron", multiple=True, type=int, help="Neuron to record; all by default.")
@_running(several=False)
def run(
    model: str, protocol_name: str | None, n: int, grids: str | None, diverged: str,
    record: tuple[str, ...], record_neuron: tuple[int, ...], protocol: str | None,
    recording: str | None, settings: tuple[str, ...], as_json: bool, out: str | None,
    dt: str | None, method: str | None, device: str, threads: int, seed: int | None,
) -> None:  # fmt: skip
    """Run MODEL under PROTOCOL and print the spikes of each neuron.

    Spikes, rate and first spike refer to the measured window of the protocol.
    """
    from dendrosim.simulation.grids import arranged
    from dendrosim.simulation.run import simulate

    if protocol_name is not None and protocol is not None:
        raise DendrosimError(
            f"two protocols are given, {protocol_name} and --protocol {protocol}; give one"
        )
    name = protocol_name or protocol or "constant"
    (neuron,), how = prepare([model], name, recording, settings)
    check_writable(out, (".nc", ".csv", ".png"))
    if out and Path(out).suffix == ".png" and not neuron.potentials:
        raise DendrosimError(
            f"--out {out}: a figure shows potentials, and {neuron.source or neuron.name} lacks the "
            "key 'potentials', which names them"
        )
    neuron, how, _ = arranged(neuron, how, grids)  # for the figure and the window
    result = simulate(
        neuron, how, dt=dt, method=method, device=device, threads=threads, seed=seed, n=n,
        grids="zip", diverged=diverged,
        record=list(record) or None, record_neurons=list(record_neuron) or None,
    )  # fmt: skip
    if out:
        _write_recording(result, how, Path(out))
    rows, cell = _rows(result, how), _found_of_the_cell(how, result.n // n)
    if as_json:
        print_json({"meta": dict(result.meta), "recorded": cell, "neurons": rows,
                     "spike_times_s": [train.tolist() for train in result.trains]})  # fmt: skip
        return
    click.echo(_headline(neuron, how, result))
    if cell:
        click.echo(f"found: {cell}")
    start, stop = how.window
    if start > 0 or stop < result.duration * (1 - 1e-12):
        window = f"from {start * 1e3:g} to {stop * 1e3:g} ms"
        click.echo(f"spikes, rate and first spike {window}")
    _print_rows(rows, result)


def _rows(result: Recording, protocol: Protocol) -> list[dict[str, Any]]:
    """Return the printed values of each neuron, with their names in the ``--json`` output."""
    from dendrosim.time_grid import in_window

    start, stop = protocol.window
    rows = []
    for k, train in enumerate(result.trains):
        times = train[in_window(train, start, stop)]
        row = {"neuron": k} | {name: float(v[k]) for name, v in result.grids.items()}
        known = k not in result.diverged
        row |= {"spikes": len(times), "rate_hz": len(times) / (stop - start) if known else math.nan}
        first = float(times[0] * 1e3) if len(times) else math.nan
        rows.append(row | {"first_spike_ms": first, "spikes_whole_run": len(train)})
        if result.diverged:
            rows[-1]["diverged_ms"] = result.diverged.get(k, math.nan) * 1e3
    return rows


def _headline(model: Model, protocol: Protocol, result: Recording) -> str:
    """Return one line with the model, the protocol and the settings of the run."""
    meta = result.meta
    compiled = (
        f"compiled in {meta['compile_seconds']:.1f} s" if meta["compiled"]
        else "not compiled again" if meta["device"] == "cpp" else "nothing to compile"
    )  # fmt: skip
    return (
        f"{model.name} under {protocol.name}: {result.n} neuron(s), {result.duration * 1e3:g} ms, "
        f"dt {meta['dt'] * 1e3:g} ms, {meta['method'] or 'discrete'}, {meta['device']}, "
        f"{compiled}, ran {meta['run_seconds']:.2f} s"
    )


def _print_rows(rows: Sequence[Mapping[str, Any]], result: Recording) -> None:
    from dendrosim.cli.show import table
    from dendrosim.model.quantities import describe

    header = ["neuron", *result.grids, "spikes", "rate (Hz)", "first spike (ms)"]
    header += ["diverged (ms)"] * bool(result.diverged)
    cells = [
        [row["neuron"], *(describe(value[row["neuron"]]) for value in result.grids.values()),
         row["spikes"], row["rate_hz"], row["first_spike_ms"],
         *([row["diverged_ms"]] if result.diverged else [])]
        for row in rows
    ]  # fmt: skip
    click.echo(table(header, cells))
    if result.diverged:
        click.echo(
            f"{len(result.diverged)} of {result.n} neurons diverged: their rate is not known"
        )


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--reduced", is_flag=True, help="Compare each with its reduction, too.")
@click.option("--reduction", default="exact", show_default=True, help="exact, euler, quasi_active.")
@click.option("--fit/--no-fit", "fitted", default=True, show_default=True,
              help="Adjust the reductions' threshold, resets and gain on fi_curve.")  # fmt: skip
@_running(several=True)
def compare(
    models: tuple[str, ...], reduced: bool, reduction: str, fitted: bool, protocol: str | None,
    recording: str | None, settings: tuple[str, ...], as_json: bool, out: str | None,
    grids: str | None, dt: str | None, method: str | None, device: str, threads: int,
    seed: int | None,
) -> None:  # fmt: skip
    """Compare MODELS under a protocol; the first is the reference."""
    from dendrosim.comparison import result as comparison
    from dendrosim.comparison.files import FILES
    from dendrosim.reduction.reduction import reduce

    neurons, how = prepare(list(models), protocol or "fi_curve", recording, settings)
    check_folder(out, FILES)
    if reduced:
        for neuron in list(neurons):
            if neuron.kind == "continuous":
                fit: dict[str, Any] = {"fit": ["fi_curve"], "device": device} if fitted else {}
                neurons.append(reduce(neuron, "0.1 ms", method=reduction, **fit).model)
    result = comparison.compare(
        neurons,
        how,
        dt=dt,
        method=method,
        device=device,
        threads=threads,
        seed=seed,
        grids=grids,
    )
    if out:
        result.save(out)
    if as_json:
        print_json(result.to_json())
    else:
        click.echo(result.text())
        if out:
            click.echo(f"\nwritten to {out}")


@click.command()
@click.option("--out", default="demo", show_default=True, help="Folder to write into.")
def demo(out: str) -> None:
    """Compare a biophysical neuron with its reductions: under noise and a dendritic step.

    The spike cut is measured and the linear neuron fitted; the adaptive neuron ships with the
    package.
    """
    check_folder(out)
    from dendrosim.model.toml import load_model
    from dendrosim.reduction import ladder, noise_around_rheobase

    name = "kepecs_wang_2000"
    click.echo(f"reducing {name} ...", err=True)
    noise = noise_around_rheobase(load_model(name))
    found = ladder(
        name, fit=[noise], unseen=[noise.with_(seed=1)], others=["dendritic_step"],
        reductions={"adaptive": f"{name}_adaptive"}, timed=False,
    )  # fmt: skip
    click.echo(found.text())
    found.save(out)
    click.echo(f"\nfigure ladder.png, tables and models are in {out}/")


def _found_of_the_cell(how: Any, neurons: int) -> str | None:
    """Return a summary of the recording in a protocol, and warn if it looks doubtful."""
    from dendrosim.current_clamp.doubts import found
    from dendrosim.simulation.neuron_axis import clamp_doubts, clamp_recording

    clamp = clamp_recording(how, neurons)
    if clamp is None:
        return None
    for doubt in clamp_doubts(how, neurons):
        warnings.warn(doubt, DendrosimWarning, stacklevel=2)
    return found(clamp)


def _write_recording(recording: Any, protocol: Any, path: Path) -> None:
    if path.suffix == ".nc":
        recording.save(path)
    elif path.suffix == ".png":
        from dendrosim.figures.style import save_figure
        from dendrosim.figures.traces import recording_figure

        save_figure(recording_figure(recording, protocol), path)
    else:
        from dendrosim.files import replacing

        with replacing(path) as temporary:
            table = recording.to_dataframe().rename(columns={"time": "time (s)"})
            table.to_csv(temporary, index=False)
