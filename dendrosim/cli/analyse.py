"""Commands for analysis and publication: energy, gradients, citations, claims of the papers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from dendrosim import files
from dendrosim.cli.options import JSON, print_json, read_array
from dendrosim.errors import DendrosimError, did_you_mean

DEVICES = ("numpy", "cython", "cpp", "torch")


# fmt: off
@click.command()
@click.argument("network")
@click.option("--input", "source", required=True, metavar="X.npy",
              help="Input of shape (B, T, n_in) or (T, n_in).")
@click.option("--device", default="numpy", show_default=True, help="numpy, cython, cpp or torch.")
@click.option("--e-ac", default=0.9, show_default=True, help="Picojoules an accumulate.")
@click.option("--e-mac", default=4.6, show_default=True,
              help="Picojoules a multiply-and-accumulate.")
@JSON
def energy(
    network: str, source: str, device: str, e_ac: float, e_mac: float, as_json: bool
) -> None:
    # fmt: on
    """Count the operations of NETWORK on an input: energy per step of each part.

    Conventions: text (all operations in the text of the models), printed (the count of the
    papers), and corrected.  If conventions agree, only the first is shown.
    """
    from dendrosim import energy as accounting
    from dendrosim.energy.conventions import side_by_side
    from dendrosim.networks.files import load_network
    from dendrosim.networks.inputs import as_input

    for name, price in (("--e-ac", e_ac), ("--e-mac", e_mac)):
        if not 0 <= price < float("inf"):
            raise DendrosimError(f"{name} = {price} is not a price from 0")
    net = load_network(network)
    x = as_input(net, read_array(source))
    run = _run(net, x, device, accounting.inner_spikes(net))
    counts = accounting.counts(net, run, x)
    if as_json:
        told = {name: count.to_json(e_ac, e_mac) for name, count in counts.items()}
        means = [float(spikes.mean()) for spikes in run.spikes]
        print_json({"network": repr(net), "rates": means, "conventions": told})
        return
    rates = ", ".join(f"{spikes.mean():.4g}" for spikes in run.spikes)
    click.echo(f"{net!r}: {len(x)} sample(s) of {x.shape[1]} steps")
    click.echo(f"spikes per step of each layer: {rates}\n")
    click.echo(side_by_side(counts, e_ac, e_mac))


def _run(net: Any, x: Any, device: str, record: dict) -> Any:
    if device not in DEVICES:
        raise DendrosimError(f"--device {device!r}; {did_you_mean(device, DEVICES)}")
    if device == "torch":
        from dendrosim.learn.networks.run import run_torch

        return run_torch(net, x, record=record)
    from dendrosim.networks.run import run_network

    return run_network(net, x, device=device, record=record)


# fmt: off
@click.command()
@click.argument("network")
@click.option("--input", "source", metavar="X.npy",
              help="Input of shape (B, T, n_in) or (T, n_in); random spikes without.")
@click.option("--out", help="Folder for figure, table and JSON.")
@click.option("--surrogate", default="triangle", show_default=True,
              help="Derivative of the spike, as in training.")
@click.option("--width", type=float, help="Its width.")
@click.option("--detach-reset", is_flag=True, help="Cut the gradient through the reset.")
@click.option("--horizon", "horizons", multiple=True, type=int,
              help="Steps over which to tell what is kept of a gradient; several may be given.")
@JSON
def analyse(
    network: str, source: str | None, out: str | None, surrogate: str, width: float | None,
    detach_reset: bool, horizons: tuple[int, ...], as_json: bool,
) -> None:
    # fmt: on
    """Analyse NETWORK: rates, gradient retention, spectral radius and energy in one report."""
    from dendrosim.learn.gradients.analysis import analyse as run
    from dendrosim.networks.files import load_network

    net = load_network(network)
    found = run(
        net, None if source is None else read_array(source), horizons=list(horizons) or None,
        surrogate=surrogate, width=width, detach_reset=detach_reset,
    )  # fmt: skip
    if out:
        _save(found, Path(out), Path(network).name)
    if as_json:
        print_json({"network": repr(net), **found.to_json()})
        return
    click.echo(f"{net!r}\n{found.text()}")
    if out:
        click.echo(f"\nwritten to {out}")


def _save(found: Any, folder: Path, title: str) -> None:
    """Write the figure, table and JSON file of an analysis."""
    from dendrosim.figures.networks import analysis_figure
    from dendrosim.figures.style import save_figure
    from dendrosim.files import replacing

    make_folder(folder)
    save_figure(analysis_figure(found, title), folder / "analysis.png")
    for name, text in (("analysis.txt", found.text()),
                       ("analysis.json", json.dumps(found.to_json(), indent=2))):  # fmt: skip
        with replacing(folder / name) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")


def make_folder(folder: Path) -> None:
    """Create an output folder.

    Raises
    ------
    DendrosimError
        If it cannot be created.
    """
    try:
        files.make_folder(folder)
    except DendrosimError as error:
        raise DendrosimError(f"--out {error}") from None


@click.command()
@click.argument("names", nargs=-1)
@JSON
def citation(names: tuple[str, ...], as_json: bool) -> None:
    """Print BibTeX for models, methods and data sets; without NAMES, for dendrosim and Brian2.

    A name is a model (lrmm), a network file, or a method, program or data set such as rush_larsen,
    brian2cuda or shd; `dendrosim citation list` lists all names.
    """
    from dendrosim.model.citations import citable
    from dendrosim.model.citations import citation as cite
    from dendrosim.networks.files import load_network

    if names == ("list",):
        known = citable()
        print_json(known) if as_json else click.echo("\n".join(known))
        return
    what = [load_network(name) if name.endswith(".safetensors") else name for name in names]
    text = cite(*what)
    print_json({"bibtex": text}) if as_json else click.echo(text)


# fmt: off
@click.command()
@click.option("--out", default="papers", show_default=True, help="Folder to write into.")
@click.option("--paper", help="lstm_lif or lrmm; both by default.")
@click.option("--full", is_flag=True, help="Train four times as long, draw finer.")
@click.option("--quick", is_flag=True, help="Leave out what trains networks.")
@click.option("--runs", help="Folder with logged training runs.")
@JSON
def papers(
    out: str, paper: str | None, full: bool, quick: bool, runs: str | None, as_json: bool
) -> None:
    # fmt: on
    """Compute every claim and figure of both papers, with the printed number beside each result.

    Each claim is reproduced, refuted (with the reason) or not reachable here (with what is
    missing).
    """
    from dendrosim.papers import reproduce

    if full and quick:
        raise DendrosimError("--full and --quick exclude each other")
    found = reproduce(out, paper=paper, full=full, quick=quick, runs=runs)
    print_json(found.to_json()) if as_json else click.echo(found.text())
