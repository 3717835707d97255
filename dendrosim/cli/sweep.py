"""The command `dendrosim sweep`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from dendrosim.cli.options import JSON, check_writable, print_json
from dendrosim.cli.settings import prepare
from dendrosim.errors import DendrosimError

if TYPE_CHECKING:
    from dendrosim.sweeps import Sweep

_SEVERAL = re.compile(r"\s*(\[|linspace\(|logspace\(|uniform\(|loguniform\()")


@click.command()
@click.argument("model")
@click.argument("protocol")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUES",
    help='An axis: g_c="linspace(1, 15, 41) mS/cm**2", amplitude="[0.5, 1] uA/cm**2", '
    'g_NaP="uniform(0.05, 0.3) mS/cm**2", protocol="[constant, step]". One value, g_c="5 mS", '
    "holds for all points. Names are those of dendrosim run --set.",
)
@click.option("--recording", help="ABF file that gives the current of protocol 'recorded'.")
@click.option(
    "--design",
    default="grid",
    show_default=True,
    help="grid, zip, random, sobol, lhs, saltelli or morris.",
)
@click.option("--n", type=int, help="Draws of a random design.")
@click.option("--repeats", default=1, show_default=True, help="Points per set, with own noise.")
@click.option("--seed", default=0, show_default=True, help="Seed of the draws and of the noise.")
@click.option("--measure", "measures", multiple=True, help="Measure to take; see the guide.")
@click.option("--trace", "traces", multiple=True, help="Variable whose traces are kept.")
@click.option("--spikes", is_flag=True, help="Keep all spike times.")
@click.option("--chunk", default=1024, show_default=True, help="Neurons per run.")
@click.option("--jobs", type=int, help="Processes; one per processor by default.")
@click.option("--dask", metavar="ADDRESS", help="Scheduler of dask, such as tcp://10.0.0.1:8786.")
@click.option("--task", metavar="K/N", help="Compute part K of N, for a job array.")
@click.option("--dry-run", is_flag=True, help="Say what the sweep needs, and end.")
@click.option("--plot", help="Axes to draw the first measure over, such as g_c,g_NaP.")
@click.option("--figure", help="File of the figure.")
@click.option("--dt", help='Time step, such as "0.05 ms".')
@click.option("--method", help="Integration method of Brian2, such as rk4.")
@click.option("--device", default="cpp", show_default=True, help="numpy, cython or cpp.")
@click.option("--out", help="Folder of the store, such as s.zarr; a sweep goes on where it was.")
@JSON
def sweep(
    model: str, protocol: str, settings: tuple[str, ...], recording: str | None, measures: tuple,
    traces: tuple, jobs: int | None, dask: str | None, task: str | None, dry_run: bool,
    plot: str | None, figure: str | None, out: str | None, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Run MODEL under PROTOCOL at many parameter sets, and measure each point."""
    from dendrosim import sweeps
    from dendrosim.sweeps.estimate import estimate
    from dendrosim.sweeps.planning import plan_sweep

    axes, fixed = _axes(settings)
    if out is None and not dry_run and figure is None and not as_json:
        raise DendrosimError("give --out FOLDER for the results, --figure or --json")
    if bool(plot) != bool(figure):
        raise DendrosimError("--plot AXES and --figure FILE need each other")
    check_writable(figure, (".png", ".pdf", ".svg"))
    (neuron,), how = prepare([model], protocol, recording, fixed)
    if measures:
        options["measures"] = list(measures)
    options |= {"traces": list(traces) or None}
    if dry_run:
        found = estimate(plan_sweep(neuron, how, axes, **options))
        _print_estimate(vars(found), as_json)
        return
    part = None if task is None else _task(task)
    with_dask = _client(dask, jobs) if dask else None
    engine = with_dask or jobs
    result = sweeps.sweep(neuron, how, axes, engine=engine, out=out, task=part, **options)
    if figure and plot:
        x, _, y = plot.partition(",")
        result.plot(x.strip(), y.strip() or None, path=figure)
    if as_json:
        print_json({"points": result.counts, "axes": list(result.axes), "path": out,
                     "table": result.to_dataframe().reset_index().to_dict("records")})  # fmt: skip
        return
    for line in _lines(result, out):
        click.echo(line)


def _axes(settings: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
    """Split ``--set`` into axes and values that hold for all points."""
    axes: dict[str, str] = {}
    fixed = []
    for setting in settings:
        name, _, value = setting.partition("=")
        name = name.strip()
        if _SEVERAL.match(value) or name in ("model", "protocol"):
            if name in axes:
                raise DendrosimError(f"--set {name} is given twice")
            axes[name] = value.strip()
        else:
            fixed.append(setting)
    if not axes:
        raise DendrosimError(
            "a sweep needs an axis, such as --set g_c='linspace(1, 15, 41) mS/cm**2'"
        )
    return axes, fixed


def _task(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if match is None:
        raise DendrosimError(f"--task {text!r} should be K/N, such as 3/100")
    return int(match[1]), int(match[2])


def _client(address: str, jobs: int | None) -> Any:
    if jobs is not None:
        raise DendrosimError("--jobs is for processes of this machine; --dask has its own workers")
    try:
        from distributed import Client
    except ImportError:
        raise DendrosimError("--dask needs dask: pip install 'dendrosim[cluster]'") from None
    try:
        return Client(address, timeout=30)
    except (OSError, ValueError) as error:
        raise DendrosimError(f"--dask {address}: no scheduler answers ({error})") from None


def _print_estimate(values: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(values)
        return
    seconds, size = values["seconds"], values["bytes"]
    click.echo(
        f"{values['points']:,} points of {values['neurons']} neuron(s), in {values['chunks']:,} "
        f"run(s) of {values['programs']} program(s); about {_time(seconds)} of one processor and "
        f"{_size(size)}"
    )


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _size(size: float) -> str:
    power = min(3, int(math.log10(max(size, 1)) // 3))
    return f"{size / 1000**power:.3g} {('B', 'kB', 'MB', 'GB')[power]}"


def _lines(result: Sweep, out: str | None) -> Iterator[str]:
    """Yield the printed summary: points by status, and each measure over all points."""
    from dendrosim.cli.show import table

    found = result.to_xarray(unstack=False)
    counts = {name.replace("_", " "): n for name, n in result.counts.items() if n}
    yield ", ".join(f"{n:,} points {name}" for name, n in counts.items())
    rows = []
    for name in result.measures:
        values = found[name].values.ravel()
        known = values[values == values]
        spread = [known.min(), known.mean(), known.max()] if known.size else ["", "", ""]
        rows.append([name, found[name].attrs.get("units", ""), len(known), *spread])
    yield table(["measure", "unit", "defined", "least", "mean", "greatest"], rows)
    lost = result.failed()
    if len(lost):
        yield f"{len(lost):,} points diverged or failed:"
        for point, row in lost.head(5).iterrows():
            place = ", ".join(f"{name} = {row[name]:.6g}" if isinstance(row[name], float)
                              else f"{name} = {row[name]}" for name in result.axes)  # fmt: skip
            yield f"  point {point} ({place}): {row['error'] or 'diverged'}"
    if out:
        yield f"results are in {out}: ds.load_sweep({out!r}) or xarray.open_zarr({out!r})"
