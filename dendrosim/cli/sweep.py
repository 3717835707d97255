"""The command `dendrosim sweep`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from dendrosim.cli.options import JSON, check_writable, goes_on, print_json
from dendrosim.cli.settings import prepare
from dendrosim.errors import DendrosimError

if TYPE_CHECKING:
    from dendrosim.model.model import Model
    from dendrosim.simulation.protocol import Protocol
    from dendrosim.sweeps import Sweep
    from dendrosim.sweeps.plan import SweepPlan

_SEVERAL = re.compile(r"\[|[A-Za-z_]\w*\(")


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
@click.option("--chunk", type=int, help="Neurons per run; up to 1,024 by default.")
@click.option("--frozen", is_flag=True, help="The same noise for all parameter sets.")
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
    from dendrosim.sweeps.effects import refuse_without_results
    from dendrosim.sweeps.estimate import estimate
    from dendrosim.sweeps.planning import jobs_of, plan_sweep
    from dendrosim.sweeps.run import run_sweep

    axes, fixed = _axes(settings)
    if jobs is not None and jobs < 1:
        raise DendrosimError(f"--jobs {jobs} should be 1 or more")
    neuron, how = _prepared(model, protocol, recording, fixed, axes)
    if measures:
        options["measures"] = list(measures)
    plan = plan_sweep(neuron, how, axes, **options, traces=list(traces) or None)
    if dry_run:
        _print_estimate(vars(estimate(plan)), as_json)
        return
    part = None if task is None else _task(task)
    drawn = _drawn(plan, plot, figure)
    jobs_of(plan)  # report errors of the sweep itself before a missing output
    if out is None and figure is None and not as_json:
        raise DendrosimError("give --out FOLDER for the results, --figure or --json")
    engine = _client(dask, jobs) if dask else jobs
    with goes_on(out):
        result = run_sweep(plan, engine=engine, out=out, task=part)
    if drawn:
        result.plot(*drawn, path=figure)
    if as_json:
        print_json({"points": result.counts, "axes": list(result.axes), "path": out,
                     "table": result.to_dataframe().reset_index().to_dict("records")})  # fmt: skip
        refuse_without_results(result)
        return
    for line in _lines(result, out):
        click.echo(line)
    refuse_without_results(result)


def _drawn(plan: SweepPlan, plot: str | None, figure: str | None) -> tuple[str, str | None] | None:
    """Return the axes to draw over; None without a figure."""
    from dendrosim.sweeps.layout import axis_names, own_grid
    from dendrosim.sweeps.result import check_axes

    if bool(plot) != bool(figure):
        raise DendrosimError("--plot AXES and --figure FILE need each other")
    check_writable(figure, (".png", ".pdf", ".svg"), "--figure")
    if not plot:
        return None
    names = [name.strip() for name in plot.split(",") if name.strip()]
    if not 1 <= len(names) <= 2:
        raise DendrosimError(f"--plot {plot} names {len(names)} axes; give one or two")
    grid = own_grid(plan)
    x, y = names[0], names[1] if len(names) == 2 else None
    check_axes(x, y, [*axis_names(plan), *([grid[0]] if grid else [])])
    return x, y


def _axes(settings: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
    """Split ``--set`` into axes and values that hold for all points."""
    axes: dict[str, Any] = {}
    fixed: list[str] = []
    seen: set[str] = set()
    for setting in settings:
        name, equals, value = (part.strip() for part in setting.partition("="))
        if not equals or not name or not value:
            raise DendrosimError(f"--set {setting!r} is not NAME=VALUES")
        if name in seen:
            raise DendrosimError(f"--set {name} is given twice")
        seen.add(name)
        if _SEVERAL.match(value) or name in ("model", "protocol"):
            axes[name] = value
        else:
            fixed.append(setting)
    if not axes:
        raise DendrosimError(
            "a sweep needs an axis, such as --set g_c='linspace(1, 15, 41) mS/cm**2'"
        )
    return axes, fixed


def _prepared(
    model: str, protocol: str, recording: str | None, fixed: list[str], axes: dict[str, Any]
) -> tuple[Model, Protocol]:
    """Load model and protocol with the fixed values, which hold on their axes, too."""
    from dendrosim.simulation.value_names import full_name
    from dendrosim.sweeps.axes import WHOLE

    models = _listed(axes.get("model"), model)
    protocols = _listed(axes.get("protocol"), protocol)
    neurons, hows = [], []
    for name in models:
        for how_name in protocols:
            (neuron,), how = prepare([name], how_name, recording, fixed)
            if name == models[0]:
                hows.append(how)
        neurons.append(neuron)
    for setting in fixed:  # an axis of the same value would replace it
        name = setting.partition("=")[0].strip()
        full = full_name(name, neurons[:1], hows[0], "--set ")
        for axis in axes:
            if axis not in WHOLE and full_name(axis, neurons[:1], hows[0], "--set ") == full:
                raise DendrosimError(
                    f"--set {full} is given twice, as {name} and as the axis {axis}"
                )
    if "model" in axes:
        axes["model"] = neurons
    if "protocol" in axes:
        axes["protocol"] = hows
    return neurons[0], hows[0]


def _listed(axis: str | None, alone: str) -> list[str]:
    """Return the names of an axis of models or protocols, or the one name without an axis."""
    if axis is None:
        return [alone]
    names = [
        word.strip(" '\"") for word in axis.strip().removeprefix("[").removesuffix("]").split(",")
    ]
    if alone not in names:
        raise DendrosimError(f"{alone} is not one of the axis {axis}, so it would be ignored")
    return names


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
    from dendrosim.sweeps.effects import without_effect
    from dendrosim.sweeps.units import in_usual_unit

    found = result.to_xarray(unstack=False)
    counts = {name.replace("_", " "): n for name, n in result.counts.items() if n}
    yield ", ".join(f"{n:,} points {name}" for name, n in counts.items())
    rows = []
    for name in result.measures:
        unit = found[name].attrs.get("units", "")
        values = found[name].values.ravel()
        if unit not in ("", "1"):
            values, unit = in_usual_unit(values, unit)
        known = values[values == values]
        spread = [known.min(), known.mean(), known.max()] if known.size else ["", "", ""]
        rows.append([name, unit, len(known), *spread])
    yield table(["measure", "unit", "defined", "least", "mean", "greatest"], rows)
    lost = result.failed()
    if len(lost):
        yield f"{len(lost):,} points diverged or failed:"
        for point, row in lost.head(5).iterrows():
            own = row.iloc[: len(result.axes)].items()
            place = ", ".join(f"{name} = {value:.6g}" if isinstance(value, float)
                              else f"{name} = {value}" for name, value in own)  # fmt: skip
            yield f"  point {point} ({place}): {row['error'] or 'diverged'}"
    for name in without_effect(result):
        yield f"note: no measure changes along {name}; has it an effect in this protocol?"
    if out:
        yield f"results are in {out}: ds.load_sweep({out!r}) or xarray.open_zarr({out!r})"
