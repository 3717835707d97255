"""The figures of both papers, drawn from results computed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from dendrosim import energy, figures
from dendrosim.figures.networks import gates_figure
from dendrosim.learn.gradients.propagation import products, spectral_radius
from dendrosim.papers import theory, trained
from dendrosim.papers.claims import Paper
from dendrosim.papers.gates import dynamics
from dendrosim.papers.loop import loop_operators
from dendrosim.papers.trained import TASK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dendrosim.energy.conventions import Count
    from dendrosim.energy.text_operations import Operations
    from dendrosim.papers.workshop import Workshop

#: Table 7 of the AAAI supplement: initial coefficients, trained ones if given, accuracy.
PUBLISHED = (
    ((-0.2, 0.2), (-0.184, 0.146), "98.40"), ((-0.8, 0.4), None, "99.20"),
    ((-0.2, 0.8), None, "89.36"),
)  # fmt: skip
#: Paper to the title of its energy figure.
ENERGIES = {"lstm_lif": "Table 2: energy of a step on S-MNIST",
            "lrmm": "Tables 3 and 4: energy of a step on SHD"}  # fmt: skip
NAMES = {"lif": "LIF", "alif": "ALIF", "lstm_lif": "LSTM-LIF", "lrmm": "LRMM",
         "tc_lif": "TC-LIF", "lstm": "LSTM"}  # fmt: skip


def coupling_map(shop: Workshop, paper: Paper) -> Figure:
    """Draw Fig. 2: effect of a step on a gradient, over both coefficients, without reset."""
    axis = np.linspace(-1, 1, 201 if shop.full else 81)
    found = theory.coupling_map(axis, axis)
    panels = {
        "eq. 14 as printed": found.printed_norm, "its norm, without signs": found.norm,
        "spectral radius of the Jacobian": found.spectral_radius,
    }  # fmt: skip
    headings = list(panels)
    marks = {
        headings[0]: [figures.Mark(*published) for published in PUBLISHED],
        headings[2]: [_from_quadrant(shop, name) for name in trained.QUADRANTS],
    }
    return figures.map_figure(
        found.x, found.y, panels, found.names, marks,
        "Fig. 2: what a step of eqs 9-10 does to a gradient, without reset",
        "yellow: 1; circle: coefficients at the start, dot: trained, number: accuracy in per cent "
        f"(left: published, S-MNIST; right: ours, {TASK})",
    )  # fmt: skip


def _from_quadrant(shop: Workshop, name: str) -> figures.Mark:
    made = trained.from_quadrant(shop, name)
    if made is None:
        return figures.Mark(trained.QUADRANTS[name], None, "diverges")
    values = made.network.layers[0].values()
    end = (float(values["beta_1"]), float(values["beta_2"]))
    return figures.Mark(trained.QUADRANTS[name], end, f"{100 * made.accuracy:.0f}")


def reset(shop: Workshop, paper: Paper) -> Figure:
    """Draw the effect of the reset: determinant and spectral radius over the somatic potential."""
    from dendrosim.learn.gradients.linearised import Linearised

    u = np.linspace(-0.5, 2.5, 301)
    matrices = Linearised("lstm_lif").jacobian({"U_S": u})
    curves = {
        "determinant": (u, np.linalg.det(matrices)),
        "spectral radius": (u, spectral_radius(matrices)),
    }
    return figures.curves_figure(
        curves, title="LSTM-LIF: at threshold the reset takes a memory away",
        x="somatic potential $U_S$ (threshold 1)", y="of the one-step Jacobian", line=1.0,
        note="triangular surrogate; $\\beta_1$ = -0.5, $\\beta_2$ = 0.5, $\\gamma$ = 0.5",
        markers=False,
    )  # fmt: skip


def learning_curves(shop: Workshop, paper: Paper) -> Figure:
    """Draw Fig. 3: validation accuracy over epochs."""
    names = ("lif", "lstm_lif", "lif:feedforward", "lstm_lif:feedforward")
    return _learning(shop, names, "Fig. 3: learning curves")


def ablations(shop: Workshop, paper: Paper) -> Figure:
    """Draw Table 2 as learning curves."""
    names = ("lrmm", "lrmm:no_feedback", "lrmm:no_recurrence", "lrmm:shared_gate")
    return _learning(shop, names, "Table 2: LRMM and its ablations")


def landscapes(shop: Workshop, paper: Paper) -> Figure:
    """Draw Fig. 4: the loss around trained networks."""
    found = {NAMES[name]: trained.landscape_of(shop, name) for name in ("lif", "lstm_lif")}
    return figures.landscape_figure(
        found, f"Fig. 4: loss around trained networks ({TASK})",
        "along two random directions, in lengths of the weights row by row; cross: the network",
    )  # fmt: skip


def energies(shop: Workshop, paper: Paper) -> Figure:
    """Draw the energies given in the paper, and corrected ones."""
    counts: dict[str, Count] = {}
    printed: dict[str, float] = {}
    for name, networks in paper.networks.items():
        parts: dict[str, Operations] = {}
        for k, network in enumerate(networks):
            options = dict(network)
            model = options.pop("model")
            make = energy.lstm_operations if model == "lstm" else energy.operations
            found = make(**options) if model == "lstm" else make(model, **options)
            parts |= {f"{k} {part}": o for part, o in found.parts.items()}
        model = max((known for known in NAMES if name.startswith(known)), key=len)
        label = NAMES[model] + name.removeprefix(model).replace("_", " ")
        counts[label] = type(found)(parts, found.convention)
        for claim in paper.claims:
            if claim.by == "spent" and claim.unit == "nJ" and claim.options["of"] is networks:
                printed[label] = claim.number
    return figures.energy_figure(
        counts, ENERGIES[paper.name],
        "0.9 pJ an accumulate, 4.6 pJ a multiply-and-accumulate; orange: as printed", printed,
    )  # fmt: skip


def retention(shop: Workshop, paper: Paper) -> Figure:
    """Draw Fig. 4: gradient retention over increasing numbers of steps."""
    horizons = np.array(theory.HORIZONS)
    curves = {
        NAMES[name]: (horizons, theory.retention(shop, name))
        for name in ("lif", "alif", "lstm_lif", "lrmm")
    }
    accuracies = ", ".join(
        f"{NAMES[name]} {shop.trained(name).accuracy:.0%}"
        for name in ("lif", "alif", "lstm_lif", "lrmm")
    )
    return figures.curves_figure(
        curves, title="Fig. 4: absolute gradient retention factor", x="horizon H (steps)",
        y="log10 of the median factor", log=True, line=0.0,
        note=f"trained on {TASK}: {accuracies}",
    )  # fmt: skip


def loop_gain(shop: Workshop, paper: Paper) -> Figure:
    """Draw Fig. 6: the gain of a step with and without the memory loop."""
    horizon = 32
    found = loop_operators(shop, "triangle")
    curves = {}
    for name, matrices in zip(("with the loop", "without"), found, strict=True):
        product = products(matrices, [horizon])[horizon]
        gains = np.linalg.norm(product, 2, axis=(-2, -1)) ** (1 / horizon)
        middle = np.median(gains, axis=(0, 2))
        curves[name] = (np.arange(len(middle)), middle)
    return figures.curves_figure(
        curves, title=f"Fig. 6: gain of a step, geometric mean over {horizon} steps",
        x="first step", y="gain (median over samples and circuits)",
        note=f"LRMM trained on {TASK}; triangular surrogate",
    )  # fmt: skip


def gates(shop: Workshop, paper: Paper) -> Figure:
    """Draw Fig. 5: gates and spikes on the noisy copy task."""
    found = dynamics(shop)
    return gates_figure(
        found, "Fig. 5: gates and memory of LRMM on the noisy copy task",
        f"green: data, red: noise, grey: readout; a network of {found.accuracy:.0%} "
        f"({found.task}; chance {found.chance:.0%})",
    )  # fmt: skip


def _learning(shop: Workshop, names: tuple[str, ...], title: str) -> Figure:
    curves = {}
    for name in names:
        history = shop.trained(name).history
        base, _, changed = name.partition(":")
        label = ", ".join([NAMES[base], changed.replace("_", " ")]) if changed else NAMES[base]
        curves[label] = (
            [row["epoch"] for row in history], [row["validation_accuracy"] for row in history]
        )  # fmt: skip
    return figures.curves_figure(
        curves, title=title, x="epoch", y="validation accuracy", line=0.1,
        note=f"{TASK}, one layer of 64; grey: chance",
    )  # fmt: skip


#: Paper to figure name to drawing function; figures without training are in `QUICK`.
DRAWINGS: Mapping[str, Mapping[str, Callable[..., Figure]]] = {
    "lstm_lif": {
        "fig_2": coupling_map, "reset": reset, "fig_3": learning_curves, "fig_4": landscapes,
        "table_2": energies,
    },
    "lrmm": {
        "fig_4": retention, "fig_5": gates, "fig_6": loop_gain, "table_2": ablations,
        "table_3": energies,
    },
}  # fmt: skip
QUICK = {reset, energies}
