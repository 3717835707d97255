"""The figure of the front page: one neuron, its reduction, and a circuit that was trained.

Everything in it is a run of the package when the pages are built.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from generated import ROOT
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import dendrosim as ds
from dendrosim.figures import COLOURS, STYLE
from dendrosim.figures.style import FAINT, GREY
from dendrosim.learn.tasks import load_task

CELL = "kepecs_wang_2000"
NETWORK = ROOT / "benchmarks" / "results" / "training" / "binary_adding_lrmm_seed_0.safetensors"
#: The sample of the test part that is shown: a label is a sample's number modulo 10.
SAMPLE = 7
START, STOP, END = 40.0, 360.0, 400.0  # of the current, ms
CHANNELS, REDUCED, TRAINED = COLOURS[0], COLOURS[1], COLOURS[2]


def write(path: Path) -> None:
    """Write the figure."""
    figure().savefig(path, dpi=160)


def figure() -> Figure:
    """Return the three rungs, one under the other, with what each is beside it."""
    step = ds.Protocol(
        f"{END} ms",
        [ds.Stimulus("dendrite", "step", amplitude="0.9 uA/cm**2", start=f"{START} ms",
                     stop=f"{STOP} ms")],
    )  # fmt: skip
    cell = ds.load_model(CELL)
    reduction = reduced(cell)
    with matplotlib.rc_context(STYLE | {"font.size": 10}):
        page = Figure(figsize=(9.4, 7.9))
        rows = page.add_gridspec(
            5, 1, height_ratios=(1.5, 0.26, 1.15, 0.42, 2.5), left=0.335, right=0.985, top=0.985,
            bottom=0.06, hspace=0.32,
        )  # fmt: skip
        traces, current, reset = (page.add_subplot(rows[k]) for k in range(3))
        _cell(traces, cell, step)
        _current(current, step)
        _reduced(reset, reduction, step)
        inner = rows[4].subgridspec(3, 1, height_ratios=(0.42, 1.9, 0.72), hspace=0.16)
        _circuit([page.add_subplot(inner[k]) for k in range(3)])
        states = len(cell.states)
        _beside(page, traces, "1", "Ion channels", CHANNELS,
                f"A pyramidal cell of two compartments:\n{states} differential equations, with "
                "units.\nA current into its dendrite\nmakes it fire bursts.")  # fmt: skip
        letters = {"alpha_1": "α₁", "beta_1": "β₁", "alpha_2": "α₂", "beta_2": "β₂"}
        values = [f"{letters[name]} = {reduction.coefficients[name]:.2f}" for name in letters]
        _beside(page, reset, "2", "Four coefficients", REDUCED,
                "Its reduction under the same current:\n"
                f"{values[0]},  {values[1]},\n{values[2]},  {values[3]}.\n"
                "The rate is kept, the bursts are not.")  # fmt: skip
        _beside(page, page.axes[4], "3", "A trained circuit", TRAINED, _told())
        return page


def reduced(cell: ds.Model) -> ds.Reduction:
    """Return the reduction of a cell, fitted on firing rates."""
    rates = ds.Protocol(
        "700 ms",
        [ds.Stimulus("dendrite", "constant", amplitude="linspace(0, 1.6, 9) uA/cm**2")],
        measure={"start": "200 ms"},
    )  # fmt: skip
    return ds.reduce(
        cell, "0.1 ms", method="quasi_active", fit=[rates], generations=8, progress=False
    )


def _cell(axes: Axes, cell: ds.Model, step: ds.Protocol) -> None:
    run = ds.simulate(cell, step, device="numpy", dt="0.05 ms", progress=False)
    t = run.times * 1e3
    axes.plot(t, run.voltage("dendrite")[:, 0] * 1e3, color=FAINT, lw=2.2)
    axes.plot(t, run.voltage("soma")[:, 0] * 1e3, color=CHANNELS, lw=1.0)
    axes.annotate("soma", (0.03, 0.93), xycoords="axes fraction", color=CHANNELS, va="top")
    axes.annotate("dendrite", (0.03, 0.78), xycoords="axes fraction", color=GREY, va="top")
    _time(axes)
    axes.set_ylabel("mV")


def _current(axes: Axes, step: ds.Protocol) -> None:
    times = np.arange(0, END, 0.1) * 1e-3
    axes.fill_between(times * 1e3, step.current("dendrite", times, 1e-4)[:, 0], color=FAINT, lw=0)
    axes.annotate("current into the dendrite", ((START + STOP) / 2, 0.46), color=GREY,
                  xycoords=("data", "axes fraction"), ha="center", va="center")  # fmt: skip
    axes.set_axis_off()
    axes.set_xlim(0, END)


def _reduced(axes: Axes, reduction: ds.Reduction, step: ds.Protocol) -> None:
    run = ds.simulate(reduction.model, step, device="numpy", progress=False)
    v = run.voltage("soma")[:, 0] * 1e3
    axes.plot(run.times * 1e3, v, color=REDUCED, lw=1.0)
    axes.vlines(run.spikes(0) * 1e3, np.max(v), np.max(v) + 40, color=REDUCED, lw=1.0)
    _time(axes)
    axes.set_xlabel("time (ms)", labelpad=1)
    axes.set_ylabel("mV")


def _time(axes: Axes) -> None:
    axes.set_xlim(0, END)
    axes.locator_params(axis="y", nbins=4)


def _circuit(panels: Sequence[Axes]) -> None:
    network, x, answer = ds.load_network(NETWORK), *_sample()
    run = ds.run_network(network, x, device="numpy", progress=False)
    seen, raster, readout = panels
    ones, marked = x[:, 0] > 0, x[:, 1] > 0
    steps = np.arange(len(x))
    seen.vlines(steps[ones], 0, 1, color=FAINT, lw=2.4)
    seen.vlines(steps[ones & marked], 0, 1, color="black", lw=2.4)
    seen.plot(steps[marked], np.full(marked.sum(), 1.55), "v", color="black", ms=4.5)
    seen.set_ylim(0, 2)
    _bare(seen, "input")
    at, neuron = np.nonzero(run.spikes[0][0])
    raster.plot(at, neuron, "|", color=TRAINED, ms=1.7, mew=1.0)
    raster.set_ylim(-2, run.spikes[0].shape[2] + 1)
    _bare(raster, "spikes of\n128 circuits")
    found = run.readout[0].T
    chance = np.exp(found - found.max(0))
    chance /= chance.sum(0)
    readout.imshow(chance, origin="lower", aspect="auto", cmap="Greens", vmin=0, vmax=1,
                   extent=(-0.5, len(x) - 0.5, -0.5, len(found) - 0.5))  # fmt: skip
    readout.annotate(f"{found[:, -1].argmax()}", (len(x) + 0.6, answer), va="center", weight="bold",
                     color=TRAINED, annotation_clip=False)  # fmt: skip
    readout.set_yticks([0, 9])
    readout.set_ylabel("answer")
    readout.set_xlabel("step", labelpad=1)
    for axes in panels:
        axes.set_xlim(-0.5, len(x) - 0.5)


def _sample() -> tuple[np.ndarray, int]:
    x, label = load_task("binary_adding", seed=0).test.batch(np.array([SAMPLE]))
    return x[0], int(label[0])


def _told() -> str:
    network = ds.load_network(NETWORK)
    weights = int(str(network).split(",")[-1].split()[0])
    return (
        "LRMM, four neurons to a circuit,\n"
        f"{weights:,} weights, trained on\nBinary Adding: how many ones\nare at the nine marked "
        "places?\n"
        "The same spikes come out of\ntorch, numpy, cython and C++."
    )


def _bare(axes: Axes, label: str) -> None:
    axes.set_yticks([])
    axes.tick_params(bottom=False, labelbottom=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_ylabel(label)


def _beside(page: Figure, axes: Axes, number: str, title: str, colour: str, text: str) -> None:
    top = axes.get_position().y1
    page.text(0.012, top, number, size=26, weight="bold", color=colour, va="top")
    page.text(0.047, top - 0.003, title, size=13, weight="bold", color=colour, va="top")
    page.text(0.047, top - 0.036, text, size=9.5, color="#404040", va="top", linespacing=1.45)
