"""The figures of both papers, drawn from what is computed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from dendrosim import energy, figures
from dendrosim.papers import theory, trained
from dendrosim.papers.claims import Paper
from dendrosim.papers.gates import dynamics
from dendrosim.papers.trained import TASK
from dendrosim.propagation import products, spectral_radius

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dendrosim.conventions import Count
    from dendrosim.papers.workshop import Workshop

#: Table 7 of the AAAI supplement: initial coefficients, trained ones where given, accuracy.
PUBLISHED = (
    ((-0.2, 0.2), (-0.184, 0.146), "98.40"), ((-0.8, 0.4), None, "99.20"),
    ((-0.2, 0.8), None, "89.36"),
)  # fmt: skip
NAMES = {"lif": "LIF", "alif": "ALIF", "lstm_lif": "LSTM-LIF", "lrmm": "LRMM",
         "tc_lif": "TC-LIF", "lstm": "LSTM"}  # fmt: skip


def coupling_map(shop: Workshop, paper: Paper) -> Figure:
    """Draw Fig. 2: what a step does to a gradient, over both coefficients, without reset."""
    axis = np.linspace(-1, 1, 201 if shop.full else 81)
    found = theory.coupling_map(axis, axis)
    marks = [figures.Mark(*published) for published in PUBLISHED]
    own = shop.trained("lstm_lif")
    ends = own.network.layers[0].values()
    end = (float(ends["beta_1"]), float(ends["beta_2"]))
    marks.append(figures.Mark((-0.5, 0.5), end, "ours"))
    panels = {
        "eq. 14 as printed": found.printed_norm, "its norm, without signs": found.norm,
        "spectral radius of the Jacobian": found.spectral_radius,
    }  # fmt: skip
    return figures.map_figure(
        found.x, found.y, panels, found.names, marks,
        "Fig. 2: one step of eqs 9-10 without reset; circles: coefficients at the start and the "
        "published accuracy on S-MNIST, dots: trained (ours: 8 x 8 digits)",
    )  # fmt: skip


def reset(shop: Workshop, paper: Paper) -> Figure:
    """Draw what the reset changes: determinant and spectral radius over the somatic potential."""
    from dendrosim.learn.gradients import Linearised

    u = np.linspace(-0.5, 2.5, 301)
    matrices = Linearised("lstm_lif").jacobian({"U_S": u})
    curves = {
        "determinant": (u, np.linalg.det(matrices)),
        "spectral radius": (u, spectral_radius(matrices)),
    }
    return figures.curves_figure(
        curves, title="LSTM-LIF: at threshold the reset takes a memory away",
        x="somatic potential U_S (threshold 1)", y="of the one-step Jacobian", line=1.0,
        note="triangular surrogate; beta_1 = -0.5, beta_2 = 0.5, gamma = 0.5", markers=False,
    )  # fmt: skip


def learning_curves(shop: Workshop, paper: Paper) -> Figure:
    """Draw Fig. 3: validation accuracy over epochs."""
    return _learning(shop, ("lif", "lstm_lif"), "Fig. 3: learning curves")


def ablations(shop: Workshop, paper: Paper) -> Figure:
    """Draw Table 2 as learning curves."""
    names = ("lrmm", "lrmm:no_feedback", "lrmm:no_recurrence", "lrmm:shared_gate")
    return _learning(shop, names, "Table 2: LRMM and its ablations")


def landscapes(shop: Workshop, paper: Paper) -> Figure:
    """Draw Fig. 4: the loss around trained networks."""
    found = {NAMES[name]: trained.landscape_of(shop, name) for name in ("lif", "lstm_lif")}
    return figures.landscape_figure(found, f"Fig. 4: loss around trained networks ({TASK})")


def energies(shop: Workshop, paper: Paper) -> Figure:
    """Draw the energies that the paper gives, and corrected ones."""
    counts: dict[str, Count] = {}
    for name, networks in paper.networks.items():
        parts = {}
        for k, network in enumerate(networks):
            options = dict(network)
            model = options.pop("model")
            make = energy.lstm_operations if model == "lstm" else energy.operations
            found = make(**options) if model == "lstm" else make(model, **options)
            parts |= {f"{k} {part}": o for part, o in found.parts.items()}
        model = max((known for known in NAMES if name.startswith(known)), key=len)
        label = NAMES[model] + name.removeprefix(model).replace("_", " ")
        counts[label] = type(found)(parts, found.convention)
    return figures.energy_figure(counts, "Energy of a step")


def retention(shop: Workshop, paper: Paper) -> Figure:
    """Draw Fig. 4: what is kept of a gradient over more and more steps."""
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
    """Draw Fig. 6: the gain of a step with the memory loop and without."""
    horizon = 32
    (run,) = shop.paths("lrmm")
    found = run.loop(surrogate="triangle", width=1.0)
    curves = {}
    for name, matrices in zip(("with the loop", "without"), found, strict=True):
        product = products(matrices, [horizon])[horizon]
        gains = np.linalg.norm(product, 2, axis=(-2, -1)) ** (1 / horizon)
        middle = np.median(gains, axis=(0, 2))
        curves[name] = (np.arange(len(middle)), middle)
    return figures.curves_figure(
        curves, title=f"Fig. 6: gain of a step, geometric mean over {horizon}",
        x="first step", y="median over samples and neurons", note=f"LRMM trained on {TASK}",
    )  # fmt: skip


def gates(shop: Workshop, paper: Paper) -> Figure:
    """Draw Fig. 5: gates and spikes on the noisy copy task."""
    return figures.gates_figure(
        dynamics(shop), "Fig. 5: LRMM keeps tokens and ignores noise",
        "noisy copy task, smaller than the paper's; green: data, red: noise, grey: readout",
    )  # fmt: skip


def _learning(shop: Workshop, names: tuple[str, ...], title: str) -> Figure:
    curves = {}
    for name in names:
        history = shop.trained(name).history
        base, _, ablation = name.partition(":")
        label = ablation.replace("_", " ") or NAMES[base]
        curves[label] = (
            [row["epoch"] for row in history], [row["validation_accuracy"] for row in history]
        )  # fmt: skip
    return figures.curves_figure(
        curves, title=title, x="epoch", y="validation accuracy", line=0.1,
        note=f"{TASK}, 64 recurrent neurons; grey: chance",
    )  # fmt: skip


#: Paper to name of a figure to what draws it; those that train nothing stand in `QUICK`.
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
