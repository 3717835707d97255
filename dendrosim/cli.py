"""The command line: thin commands over the functions of the package."""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from dendrosim import library
from dendrosim._version import __version__
from dendrosim.cli_analyse import analyse, citation, energy, papers
from dendrosim.cli_bench import bench
from dendrosim.cli_common import JSON, check_writable, prepare, print_json
from dendrosim.cli_generate import generate
from dendrosim.cli_learn import evaluate, recipes, train
from dendrosim.cli_networks import convert, verify
from dendrosim.cli_tasks import tasks
from dendrosim.errors import DendrosimError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, or 2 with one line on stderr for bad input.

    A command may have another status of its own, see `verify`.
    """
    # What Brian2 2.8 makes setuptools say, whatever the command
    warnings.filterwarnings("ignore", "_get_vc_env is private", UserWarning)
    try:
        status = commands.main(args=arguments, prog_name="dendrosim", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.ctx.get_help())
        return 0
    except click.ClickException as error:
        return _refuse(error.format_message().rstrip("."))
    except DendrosimError as error:
        return _refuse(str(error))
    except (KeyboardInterrupt, click.Abort):
        return _refuse("stopped", 130)
    except BrokenPipeError:  # the reader of a pipe has gone: nothing to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status or 0  # click hands over what a command leaves with


def _refuse(message: str, status: int = 2) -> int:
    print(f"dendrosim: {' '.join(message.split())}", file=sys.stderr)
    return status


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 96})
@click.version_option(__version__, message="dendrosim %(version)s")
def commands() -> None:
    """From ion channels to trained spiking circuits, in Brian2.

    A model is a TOML file: a name from `dendrosim models`, a name with a variant
    (kepecs_wang_2000:printed_nap), or a path of your own.
    """


for command in (
    analyse, bench, citation, convert, energy, evaluate, generate, papers, recipes, tasks, train,
    verify,
):  # fmt: skip
    commands.add_command(command)


def _listing(kind: str, as_json: bool) -> None:
    rows = []
    for name in library.names(kind):
        table = library.read_toml(library.find(name, kind))
        rows.append({"name": name, "title": table.get("title", "")})
        if kind == "models":
            rows[-1] |= {"kind": table["kind"], "variants": sorted(table.get("variants", {}))}
    if as_json:
        print_json(rows)
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        click.echo(f"{row['name']:{width}}  {row['title']}")


@commands.command("models")
@JSON
def list_models(as_json: bool) -> None:
    """List the models."""
    _listing("models", as_json)


@commands.command("protocols")
@JSON
def list_protocols(as_json: bool) -> None:
    """List the protocols."""
    _listing("protocols", as_json)


@commands.command()
@click.argument("name")
@JSON
def show(name: str, as_json: bool) -> None:
    """Show a model or protocol: equations, values with units and source, citation."""
    from dendrosim import catalogue
    from dendrosim.model import load_model
    from dendrosim.protocol import load_protocol

    if _is_protocol(name):
        protocol = load_protocol(name)
        page, table = catalogue.protocol_page, catalogue.protocol_table
        click.echo(json.dumps(table(protocol), indent=2) if as_json else page(protocol))
        return
    model = load_model(name)
    page, table = catalogue.model_page, catalogue.model_table
    click.echo(json.dumps(table(model), indent=2) if as_json else page(model))


def _is_protocol(name: str) -> bool:
    if name.endswith(".toml"):
        return "duration" in (table := library.read_toml(library.find(name, "protocols"))) or (
            "stimuli" in table
        )
    models = library.names("models")
    protocols = library.names("protocols")
    if name.partition(":")[0] not in [*models, *protocols]:
        from dendrosim.errors import did_you_mean

        raise DendrosimError(
            f"{name!r} is neither a model nor a protocol; {did_you_mean(name, models + protocols)}"
        )
    return name in protocols


def _running(*, several: bool) -> Callable:
    """Options that every command that simulates takes."""
    options = [
        click.option("--protocol", help="Name or path of a protocol."),
        click.option("--recording", help="ABF file that gives the current of protocol 'recorded'."),
        click.option(
            "--set", "settings", multiple=True, metavar="NAME=VALUE",
            help='Change a value: g_c="5 mS/cm**2", initial.v_s="-70 mV", amplitude="1 uA/cm**2".',
        ),
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


@commands.command()
@click.argument("model")
@click.argument("protocol_name", required=False, metavar="[PROTOCOL]")
@click.option("--n", default=1, show_default=True, help="Neurons for each point of a grid.")
@click.option("--record", multiple=True, help="Variable to record; the potentials by default.")
@click.option("--record-neuron", multiple=True, type=int, help="Neuron to record; all by default.")
@_running(several=False)
def run(
    model: str, protocol_name: str | None, n: int, record: tuple[str, ...],
    record_neuron: tuple[int, ...], protocol: str | None,
    recording: str | None, settings: tuple[str, ...], as_json: bool, out: str | None,
    dt: str | None, method: str | None, device: str, threads: int, seed: int | None,
) -> None:  # fmt: skip
    """Run MODEL under PROTOCOL and print the spikes of each neuron."""
    from dendrosim.simulation import simulate

    name = protocol_name or protocol or "constant"
    (neuron,), how = prepare([model], name, recording, settings)
    check_writable(out, (".nc", ".csv", ".png"))
    result = simulate(
        neuron, how, dt=dt, method=method, device=device, threads=threads, seed=seed, n=n,
        record=list(record) or None, record_neurons=list(record_neuron) or None,
    )  # fmt: skip
    if out:
        _write_recording(result, how, Path(out))
    start, stop = how.measure
    sweep = result.sweep
    rows = []
    for k, times in enumerate(result.trains):
        inside = times[(times >= start) & (times < stop)]
        row = {"neuron": k}
        if sweep:
            row[sweep[0]] = float(sweep[1][k])
        row |= {"spikes": len(times), "rate_hz": len(inside) / (stop - start)}
        rows.append(row | {"first_spike_ms": float(times[0] * 1e3) if len(times) else math.nan})
    if as_json:
        print_json({"meta": dict(result.meta), "neurons": rows,
                     "spike_times_s": [train.tolist() for train in result.trains]})  # fmt: skip
        return
    from brian2 import Quantity

    from dendrosim.catalogue import table
    from dendrosim.quantities import describe, parse_unit

    compiled = (
        f"compiled in {result.meta['compile_seconds']:.1f} s" if result.meta["compiled"]
        else "not compiled again" if device == "cpp" else "nothing to compile"
    )  # fmt: skip
    click.echo(
        f"{neuron.name} under {how.name}: {result.n} neuron(s), {result.duration * 1e3:g} ms, dt "
        f"{result.meta['dt'] * 1e3:g} ms, {result.meta['method'] or 'discrete'}, {device}, "
        f"{compiled}, ran {result.meta['run_seconds']:.2f} s"
    )
    unit = parse_unit(sweep[2]) if sweep else None
    header = ["neuron", *([sweep[0]] if sweep else []), "spikes", "rate (Hz)", "first spike (ms)"]
    cells = [
        [
            row["neuron"], *([describe(Quantity(row[sweep[0]], dim=unit.dim))] if sweep else []),
            row["spikes"], row["rate_hz"], row["first_spike_ms"],
        ]
        for row in rows
    ]  # fmt: skip
    click.echo(table(header, cells))


@commands.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--reduced", is_flag=True, help="Compare each with its reduction, too.")
@click.option("--reduction", default="exact", show_default=True, help="exact, euler, quasi_active.")
@click.option("--fit/--no-fit", "fitted", default=True, show_default=True,
              help="Adjust the reductions' threshold, resets and gain on fi_curve.")  # fmt: skip
@_running(several=True)
def compare(
    models: tuple[str, ...], reduced: bool, reduction: str, fitted: bool, protocol: str | None,
    recording: str | None, settings: tuple[str, ...], as_json: bool, out: str | None,
    dt: str | None, method: str | None, device: str, threads: int, seed: int | None,
) -> None:  # fmt: skip
    """Compare MODELS under a protocol; the first is the reference."""
    from dendrosim import comparison
    from dendrosim.reduction import reduce

    neurons, how = prepare(list(models), protocol or "fi_curve", recording, settings)
    if reduced:
        for neuron in list(neurons):
            if neuron.kind == "continuous":
                fit = {"fit": ["fi_curve"], "device": device} if fitted else {}
                neurons.append(reduce(neuron, "0.1 ms", method=reduction, **fit).model)
    result = comparison.compare(
        neurons, how, dt=dt, method=method, device=device, threads=threads, seed=seed
    )
    if out:
        result.save(out)
    if as_json:
        print_json(result.to_json())
    else:
        click.echo(result.text())
        if out:
            click.echo(f"\nwritten to {out}")


@commands.command("reduce")
@click.argument("model")
@click.option("--dt", default="0.1 ms", show_default=True, help="Step of the discrete neuron.")
@click.option("--method", default="exact", show_default=True, help="exact, euler, quasi_active.")
@click.option("--threshold", help='Somatic threshold, such as "-55 mV"; found by default.')
@click.option("--holding", help='Somatic potential that U = 0 stands for, such as "-65 mV".')
@click.option("--fit", multiple=True, help="Protocol to adjust threshold, resets and gain on.")
@click.option("--unseen", multiple=True, help="Protocol to judge the fitted neuron on.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change a parameter.")
@click.option("--device", default="cpp", show_default=True, help="numpy, cython or cpp.")
@click.option("--out", help="Model file (.toml) to write.")
@JSON
def reduce_command(
    model: str, dt: str, method: str, threshold: str | None, holding: str | None,
    fit: tuple[str, ...], unseen: tuple[str, ...], settings: tuple[str, ...], device: str,
    out: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Reduce MODEL to the discrete two-compartment neuron; print coefficients and scales."""
    from dendrosim.catalogue import heading, table
    from dendrosim.quantities import describe
    from dendrosim.reduction import reduce

    (neuron,), _ = prepare([model], "constant", None, settings)
    check_writable(out, (".toml",))
    options = {"device": device} if fit else {}
    result = reduce(
        neuron, dt, method=method, threshold=threshold, holding=holding, fit=list(fit) or None,
        unseen=list(unseen), **options,
    )  # fmt: skip
    if out:
        result.save(out)
    scales = {name: describe(value) for name, value in result.scales.items()}
    report = None if result.report is None else result.report.to_dict("records")
    if as_json:
        print_json({
            "model": result.source, "method": method, "dt": dt, "scales": scales,
            "coefficients": dict(result.coefficients), "threshold": describe(result.threshold),
            "held": describe(result.held), "report": report,
        })  # fmt: skip
        return
    click.echo(heading(f"{result.source}, {method}, dt {dt}"))
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


@commands.command()
@click.option("--out", default="demo", show_default=True, help="Folder to write into.")
def demo(out: str) -> None:
    """Compare two biophysical neurons with their reductions: f-I curve and a dendritic step."""
    from dendrosim import comparison
    from dendrosim.model import load_model
    from dendrosim.protocol import load_protocol
    from dendrosim.reduction import reduce

    models = [load_model("pinsky_rinzel_1994"), load_model("kepecs_wang_2000")]
    reductions = []
    for model in models:
        click.echo(f"reducing {model.name} (fitted on fi_curve) ...", err=True)
        reductions.append(reduce(model, "0.1 ms", fit=["fi_curve"]))
        reductions[-1].save(_folder(out) / f"{model.name}_reduced.toml")
    for model, reduction in zip(models, reductions, strict=True):
        for name in ("fi_curve", "dendritic_step"):
            result = comparison.compare([model, reduction.model], load_protocol(name))
            click.echo(result.text() + "\n")
            result.save(_folder(out) / f"{model.name}_{name}")
    click.echo(f"figures, tables and recordings are in {out}/")


def _folder(path: str) -> Path:
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DendrosimError(f"{path}: cannot be a folder ({error.strerror})") from None
    return folder


def _write_recording(recording: Any, protocol: Any, path: Path) -> None:
    if path.suffix == ".nc":
        recording.save(path)
    elif path.suffix == ".png":
        from dendrosim.plots import recording_figure, save_figure

        save_figure(recording_figure(recording, protocol), path)
    else:
        from dendrosim.recording import replacing

        with replacing(path) as temporary:
            recording.to_dataframe().to_csv(temporary, index=False)


if __name__ == "__main__":
    sys.exit(main())
