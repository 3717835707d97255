"""The model catalogue: a page for each model file, made from the file alone."""

from __future__ import annotations

from pathlib import Path

import latex
import responses
from markdown import block, math, page, table

import dendrosim as ds
from dendrosim import shelves
from dendrosim.model.citations import citation
from dendrosim.model.expressions import Expression
from dendrosim.model.quantities import describe

CIRCUITS = ("two_compartment", "lstm_lif", "lstm_lif_code", "lrmm", "lrmm_alif")
GROUPS = {
    "From ion channels": "Differential equations with units.",
    "From channels to circuits": "The discrete two-compartment neuron, and circuits to train.",
    "Neurons to compare with": "Published neurons, each compared with an independent loop.",
    "For exchange": "The neurons of NIR, each with its exact step.",
}


def write(folder: Path) -> None:
    """Write the catalogue into a folder: a page and a figure for each model, and the list."""
    groups: dict[str, list[ds.Model]] = {name: [] for name in GROUPS}
    for name in shelves.names("models"):
        model = ds.load_model(name)
        groups[_group(model)].append(model)
        text = model_page(model)
        path = folder / f"{name}.md"
        figure = path.with_suffix(".png")
        responses.figure(model).savefig(figure)
        path.write_text(text, encoding="utf-8")
    (folder / "index.md").write_text(_index(groups), encoding="utf-8")


def _group(model: ds.Model) -> str:
    biophysical, circuits, others, exchange = GROUPS
    if model.kind == "continuous":
        return biophysical
    if model.name in CIRCUITS:
        return circuits
    return exchange if model.name.startswith("nir_") else others


def _index(groups: dict[str, list[ds.Model]]) -> str:
    parts = [
        "# Models",
        "Each page is made from the file of its model. The equations are typeset from the text "
        "that runs, and the figure is a run of it.",
    ]
    for name, models in groups.items():
        rows = [(f"[{m.name}]({m.name}.md)", m.title, m.reference.partition(")")[0] + ")")
                for m in models]  # fmt: skip
        parts += [f"## {name}", GROUPS[name], table(("model", "what", "after"), rows)]
    names = "\n".join(m.name for models in groups.values() for m in models)
    return page(*parts, block("toctree", body=names, hidden=""))


def model_page(model: ds.Model) -> str:
    """Return the page of a model."""
    return page(
        f"# {model.title}",
        f"`{model.name}`: {_kind(model)}.",
        model.description,
        "## Equations" if model.kind == "continuous" else "## One step",
        math(latex.equations(model)),
        *_functions(model),
        _spike(model),
        _inputs(model),
        "## Parameters",
        _parameters(model),
        _initial(model),
        "## What it does",
        block("image", f"{model.name}.png", alt=f"Responses of {model.name}"),
        _caption(model),
        *_listed("Corrected here", model.corrections),
        *_listed(
            "Variants",
            [f"`{model.name}:{key}`: {table['title']}." for key, table in model.variants.items()],
        ),
        "## Reference",
        _reference(model),
        block("code-block", "bibtex", citation(model)),
        "## The file",
        block("literalinclude", f"/../models/{model.name}.toml", language="toml"),
    )


def _kind(model: ds.Model) -> str:
    if model.kind == "continuous":
        return f"continuous, integrated with `{model.method}` at {describe(model.dt)}"
    trained = [f"`{name}`" for name, p in model.parameters.items() if p.trainable]
    return f"discrete; trained besides the weights: {', '.join(trained) or 'nothing'}"


def _spike(model: ds.Model) -> str:
    if model.kind == "discrete":
        brackets = ", $[\\ldots]$ is 1 where the condition holds" if "[" in _text(model) else ""
        return f"A spike is ${latex.symbol(model.output)} = 1${brackets}."
    parts = [f"A spike is where ${latex.latex(model.threshold)}$ becomes true"]
    if isinstance(model.refractory, Expression):
        parts.append(f"and there is no other while ${latex.latex(model.refractory)}$")
    elif model.refractory is not None:
        parts.append(f"and there is no other for {describe(model.refractory)}")
    return ", ".join(parts) + "."


def _text(model: ds.Model) -> str:
    return latex.equations(model)


def _functions(model: ds.Model) -> list[str]:
    """Return what functions mean that are not in every textbook."""
    known = {"exprel": "$\\operatorname{exprel}(x) = (e^x - 1)/x$, and 1 at 0."}
    return [meaning for name, meaning in known.items() if f"{{{name}}}" in _text(model)]


def _inputs(model: ds.Model) -> str:
    what = [f"${latex.symbol(name)}$" + (f" ({place})" if place != name else "")
            for place, name in model.inputs.items()]  # fmt: skip
    shares = [f"`{share.text}` ({place})" for place, share in model.areas.items()]
    per = f" Per area of a share of the membrane: {', '.join(shares)}." if shares else ""
    return f"Input: {', '.join(what)}.{per}"


def _parameters(model: ds.Model) -> str:
    rows = []
    for name, p in model.parameters.items():
        shape = " (one per neuron)" if p.shape == "neuron" else ""
        rows.append((f"${latex.symbol(name)}$", f"`{name}`", describe(p.value) + shape, p.doc,
                     p.source))  # fmt: skip
    return table(("", "name", "value", "meaning", "source"), rows) if rows else "None."


def _initial(model: ds.Model) -> str:
    if model.kind == "discrete" and not any(map(float, model.initial.values())):
        return "Every state starts at 0."
    starts = {name: f"`{start.text}` = " for name, start in model.starts.items()}
    values = [f"${latex.symbol(name)}$ = {starts.get(name, '')}{describe(value)}"
              for name, value in model.initial.items()]  # fmt: skip
    return f"Initial state: {', '.join(values)}."


def _caption(model: ds.Model) -> str:
    if model.kind == "discrete":
        where = "every input" if len(model.inputs) > 1 else "the input"
        return (
            f"The current goes into {where}. Ticks are spikes. The number beside a trace is the "
            "size of the step or of the input spike. The middle trace has the lowest size, of a "
            f"series, under which the neuron fires: {responses.SEVERAL_DISCRETE} spikes under a "
            "step, one under four input spikes. "
            f"`{responses.potential_of(model)}` is what the output compares with its threshold."
        )
    held = (
        f" For all but the f-I curve the soma receives {responses.HOLDING}, because its rest is "
        "not stable without it."
        if responses.is_held(model)
        else ""
    )
    *others, last = (f"`{name}`" for name in responses.protocols_for(model))
    return (
        f"The protocols {', '.join(others)} and {last} of the shelf. "
        f"`dendrosim run {model.name} step --out step.png` draws one of them. The step is the "
        f"lowest of a series that makes {responses.SEVERAL} spikes or more.{held}"
    )


def _listed(title: str, items: list[str] | tuple[str, ...]) -> list[str]:
    return [f"## {title}", "\n".join(f"- {item}" for item in items)] if items else []


def _reference(model: ds.Model) -> str:
    link = f" [doi:{model.doi}](https://doi.org/{model.doi})" if model.doi else ""
    return f"{model.reference}.{link}"
