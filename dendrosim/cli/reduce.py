"""The command ``reduce``: reduces a biophysical neuron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dendrosim.cli.options import JSON, check_writable, print_json
from dendrosim.cli.settings import prepare

if TYPE_CHECKING:
    from dendrosim.simulation.protocol import Protocol


@click.command("reduce")
@click.argument("model")
@click.option("--dt", default="0.1 ms", show_default=True, help="Step of the discrete neuron.")
@click.option("--method", default="exact", show_default=True, help="exact, euler, quasi_active.")
@click.option("--threshold", help='Somatic threshold, such as "-55 mV"; found by default.')
@click.option("--holding", help='Somatic potential that U = 0 stands for, such as "-65 mV".')
@click.option("--fit", multiple=True, help="Protocol to adjust threshold, resets and gain on.")
@click.option("--unseen", multiple=True, help="Protocol to judge the fitted neuron on.")
@click.option("--recording", help="ABF file that gives the current of protocol 'recorded'.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change a parameter.")
@click.option("--device", default="cpp", show_default=True, help="numpy, cython or cpp.")
@click.option("--out", help="Model file (.toml) to write.")
@JSON
def reduce_command(
    model: str, dt: str, method: str, threshold: str | None, holding: str | None,
    fit: tuple[str, ...], unseen: tuple[str, ...], recording: str | None,
    settings: tuple[str, ...], device: str, out: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Reduce MODEL to the discrete two-compartment neuron; print coefficients and scales."""
    from dendrosim.cli.show import heading, table
    from dendrosim.model.quantities import describe
    from dendrosim.reduction.reduction import reduce

    (neuron,), _ = prepare([model], None, None, settings)
    check_writable(out, (".toml",))
    options: dict[str, Any] = {"device": device} if fit else {}
    result = reduce(
        neuron, dt, method=method, threshold=threshold, holding=holding,
        fit=_protocols(fit, recording) or None, unseen=_protocols(unseen, recording), **options,
    )  # fmt: skip
    if out:
        result.save(out)
    scales = {name: describe(value) for name, value in result.scales.items()}
    report = None if result.report is None else result.report.to_dict("records")
    if as_json:
        print_json({
            "model": result.source, "method": method, "dt": dt, "scales": scales,
            "coefficients": dict(result.coefficients), "threshold": describe(result.threshold),
            "held": describe(result.held), "report": report, "notes": list(result.notes),
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
    for note in result.notes:
        click.echo(f"\n{note}")


def _protocols(names: tuple[str, ...], recording: str | None) -> list[Protocol]:
    """Load protocols; set the file of those whose stimulus is a recording."""
    from dendrosim.simulation.protocol_files import load_protocol

    loaded = [load_protocol(name) for name in names]
    if recording is None:
        return loaded
    return [
        how.with_(file=recording) if any(s.shape == "recorded" for s in how.stimuli) else how
        for how in loaded
    ]
