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

CELL = "pinsky_rinzel_1994"
NETWORK = ROOT / "benchmarks" / "results" / "training" / "binary_adding_lrmm_seed_0.safetensors"
#: The sample of the test part that is shown: a label is a sample's number modulo 10.
SAMPLE = 7
START, STOP, END = 50.0, 450.0, 500.0  # of the current, ms
CHANNELS, REDUCED, TRAINED = COLOURS[:3]
LETTERS = {"alpha_1": "α₁", "beta_1": "β₁", "alpha_2": "α₂", "beta_2": "β₂"}


def write(path: Path) -> None:
    """Write the figure."""
    figure().savefig(path, dpi=160)


def figure() -> Figure:
    """Return the three rungs, one under the other, with what each is beside it."""
    step = ds.Protocol(
        f"{END} ms",
        [ds.Stimulus("soma", "step", amplitude="1.3 uA/cm**2", start=f"{START} ms",
                     stop=f"{STOP} ms")],
    )  # fmt: skip
    cell = ds.load_model(CELL)
    reduction = reduced(cell)
    network, run, x, label = solved()
    with matplotlib.rc_context(STYLE | {"font.size": 10}):
        page = Figure(figsize=(9.6, 7.4))
        first, current, second = (
            page.add_axes((0.375, bottom, 0.595, height))
            for bottom, height in ((0.79, 0.19), (0.728, 0.022), (0.535, 0.16))
        )
        third = [
            page.add_axes((0.375, bottom, 0.595, height))
            for bottom, height in ((0.385, 0.045), (0.18, 0.195), (0.065, 0.1))
        ]
        _cell(first, cell, step)
        _current(current, step)
        _reduced(second, reduction, step)
        _circuit(third, run, x, label)
        values = [f"{letter} = {reduction.coefficients[name]:.2f}"
                  for name, letter in LETTERS.items()]  # fmt: skip
        _beside(page, first, "1", "Ion channels", CHANNELS,
                f"A pyramidal cell:\n{len(cell.states)} differential equations in two\n"
                "compartments. A current into\nthe soma makes it fire bursts.")  # fmt: skip
        _beside(page, second, "2", "Four coefficients", REDUCED,
                f"The reduction of this cell:\n{', '.join(values[:2])},\n{', '.join(values[2:])}."
                "\nThreshold, resets and gain are\nfitted to the cell's firing rates.")  # fmt: skip
        _beside(page, third[0], "3", "A trained circuit", TRAINED,
                f"Leaky neurons in circuits of\nfour (LRMM), {network.n_weights:,} weights.\n\n"
                "The task: how many of the nine\nmarked places hold a one?\n"
                "The answer begins at nine.\nA marked place without a one\nlowers it.\n\n"
                "Torch, numpy, Cython and C++\ngive the same spikes.")  # fmt: skip
        return page


def reduced(cell: ds.Model) -> ds.Reduction:
    """Return the reduction of a cell, fitted to its firing rates."""
    rates = ds.Protocol(
        "500 ms",
        [ds.Stimulus("soma", "constant", amplitude="[0.5, 1, 1.5, 2, 2.5] uA/cm**2")],
        measure={"start": "100 ms"},
    )  # fmt: skip
    return ds.reduce(cell, "0.1 ms", fit=[rates], generations=6, progress=False)


def solved() -> tuple[ds.Network, ds.networks.NetworkOutput, np.ndarray, int]:
    """Return the network, its run of the sample, the sample and its label."""
    network = ds.load_network(NETWORK)
    x, label = load_task("binary_adding", seed=0).test.batch(np.array([SAMPLE]))
    run = ds.run_network(network, x, device="numpy", progress=False)
    return network, run, x[0], int(label[0])


def _cell(axes: Axes, cell: ds.Model, step: ds.Protocol) -> None:
    run = ds.simulate(cell, step, device="numpy", dt="0.05 ms", progress=False)
    t = run.times * 1e3
    axes.plot(t, run.voltage("dendrite")[:, 0] * 1e3, color="#c4c4c4", lw=1.6)
    axes.plot(t, run.voltage("soma")[:, 0] * 1e3, color=CHANNELS, lw=1.0)
    axes.annotate("soma", (1, 1), xycoords="axes fraction", color=CHANNELS, ha="right", va="top")
    axes.annotate("dendrite", (1, 0.86), xycoords="axes fraction", color=GREY, ha="right", va="top")
    _time(axes)
    axes.tick_params(labelbottom=False)


def _current(axes: Axes, step: ds.Protocol) -> None:
    times = np.arange(0, END, 0.1) * 1e-3
    axes.fill_between(times * 1e3, step.current("soma", times, 1e-4)[:, 0], color=FAINT, lw=0)
    axes.annotate("the same current into both", ((START + STOP) / 2, 0.46), color="#404040",
                  xycoords=("data", "axes fraction"), ha="center", va="center", size=9)  # fmt: skip
    axes.set_axis_off()
    axes.set_xlim(0, END)


def _reduced(axes: Axes, reduction: ds.Reduction, step: ds.Protocol) -> None:
    run = ds.simulate(reduction.model, step, device="numpy", progress=False)
    v = run.voltage("soma")[:, 0] * 1e3
    axes.plot(run.times * 1e3, v, color=REDUCED, lw=1.0)
    spikes, above = run.spikes(0) * 1e3, v.max() + 5
    axes.plot(spikes, np.full(len(spikes), above), "|", color=REDUCED, ms=9, mew=1.2)
    axes.annotate("spikes", (0.015, above), xycoords=("axes fraction", "data"), color=REDUCED,
                  va="center")  # fmt: skip
    _time(axes)
    axes.set_xlabel("time (ms)", labelpad=1)


def _time(axes: Axes) -> None:
    axes.set_xlim(0, END)
    axes.locator_params(axis="y", nbins=3)
    axes.set_ylabel("mV")
    axes.yaxis.set_label_coords(-0.075, 0.5)


def _circuit(
    panels: Sequence[Axes], run: ds.networks.NetworkOutput, x: np.ndarray, label: int
) -> None:
    seen, raster, answer = panels
    ones, marked = x[:, 0] > 0, x[:, 1] > 0
    steps = np.arange(len(x))
    seen.vlines(steps[ones & ~marked], 0, 1, color=FAINT, lw=2.2)
    seen.vlines(steps[ones & marked], 0, 1, color="black", lw=2.2)
    seen.plot(steps[marked], np.full(marked.sum(), 1.6), "v", color="black", ms=4)
    seen.set_ylim(0, 2)
    seen.set_yticks([])
    raster.plot(*np.nonzero(run.spikes[0][0]), "|", color=TRAINED, ms=1.8, mew=1.0)
    raster.set_ylim(-2, run.spikes[0].shape[2] + 1)
    raster.set_yticks([])
    for axes, name in ((seen, "input"), (raster, "128 circuits"), (answer, "answer")):
        axes.set_ylabel(name)
        axes.yaxis.set_label_coords(-0.04, 0.5)
        axes.set_xlim(-0.5, len(x) - 0.5)
    for axes in (seen, raster):
        axes.tick_params(bottom=False, labelbottom=False)
        axes.spines[["left", "bottom"]].set_visible(False)
    found = run.readout[0].argmax(1)
    answer.step(steps, found, where="mid", color=TRAINED, lw=1.6)
    answer.annotate(f"{found[-1]}", (len(x), found[-1]), va="center", weight="bold", size=12,
                    color=TRAINED, annotation_clip=False)  # fmt: skip
    for place in steps[marked & ~ones]:
        for axes in panels:
            axes.axvline(place, color=GREY, lw=0.7, ls=":", zorder=0)
    answer.set_ylim(-0.6, 9.9)
    answer.set_yticks([0, 3, 6, 9])
    answer.set_xlabel("step", labelpad=1)
    if found[-1] != label:
        raise ValueError(f"the network of the front page answers {found[-1]}, which is wrong")


def _beside(page: Figure, axes: Axes, number: str, title: str, colour: str, text: str) -> None:
    top = axes.get_position().y1
    page.text(0.01, top, number, size=27, weight="bold", color=colour, va="top")
    page.text(0.052, top - 0.002, title, size=13, weight="bold", color=colour, va="top")
    page.text(0.053, top - 0.042, text, size=9.5, color="#303030", va="top", linespacing=1.5)
