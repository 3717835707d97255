"""Commands for networks: verify them on several devices, import and export them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import click

from dendrosim.cli.options import JSON, check_writable, print_json, read_array
from dendrosim.errors import DendrosimError, did_you_mean

DEVICES = ("torch", "numpy", "cython", "cpp", "cuda")
KINDS = {
    "network": (".safetensors",),
    "nir": (".nir",),
    "state_dict": (".pt", ".pth", ".safetensors"),
}


# fmt: off
@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NETWORK [DEVICE]...")
@click.option("--input", "source", required=True, metavar="X.npy",
              help="Input of shape (B, T, n_in) or (T, n_in).")
@click.option("--device", "devices", multiple=True, metavar="DEVICE...",
              help="torch, numpy, cython, cpp, cuda: several after one --device, with commas, or "
                   "each with its own.  [default: torch cython cpp]")
@click.option("--dtype", default="float64", show_default=True,
              help="float64 or float32: one for all devices, or one for each, with commas.")
@click.option("--tie", default=1e-9, show_default=True,
              help="Distance to threshold below which a difference is a tie.")
@JSON
@click.pass_context
def verify(
    context: click.Context, names: tuple[str, ...], source: str, devices: tuple[str, ...],
    dtype: str, tie: float, as_json: bool,
) -> None:
    # fmt: on
    """Run NETWORK on several devices and compare every spike.

    Exit status 0: equal, or different only because of ties.  1: different.  2: bad input.
    """
    from dendrosim.networks.files import load_network
    from dendrosim.verification.verification import verify as run

    given = [name for device in devices for name in device.split(",")]
    given += [name for name in names if name in DEVICES]
    files = [name for name in names if name not in DEVICES]
    if len(files) != 1:
        hint = did_you_mean(files[1], DEVICES) if len(files) > 1 else "none is given"
        raise DendrosimError(f"verify takes one network file, not {len(files)}; {hint}")
    types = dtype.split(",") if "," in dtype else dtype
    result = run(
        load_network(files[0]), read_array(source), given or ("torch", "cython", "cpp"), types, tie
    )
    if as_json:
        print_json(result.to_json())
    else:
        click.echo(result.text())
    context.exit(0 if result.explained else 1)


# fmt: off
@click.command()
@click.argument("source")
@click.option("--out", required=True, help="File to write.")
@click.option("--to", "kind", type=click.Choice(list(KINDS)),
              help="What to write; by default nir for .nir, state_dict for .pt, else network.")
@click.option("--model", "models", multiple=True,
              help="Model of the layers of a checkpoint: one for all, or one for each.")
@click.option("--map", "mapping", multiple=True, metavar="NAME=TARGET",
              help="Where a tensor goes: layers.0.input_weights.I, layers.0.recurrent_weights.I, "
                   "layers.0.bias.I, layers.0.parameters.c_1, readout.weights, readout.bias.  A+B "
                   "adds up, A[0,1] takes a part.  'auto': the only mapping that fits.")
@click.option("--ignore", multiple=True, metavar="NAME", help="Tensor to leave out.")
@click.option("--dt", type=float, help="Step of a NIR graph in its unit of time.")
@click.option("--convention",
              help="For NIR: exact (default), norse (Norse's and snnTorch's step) or euler.")
@click.option("--reset", help="For NIR: v_reset (default) or subtract.")
@JSON
def convert(
    source: str, out: str, kind: str | None, models: tuple[str, ...], mapping: tuple[str, ...],
    ignore: tuple[str, ...], dt: float | None, convention: str | None, reset: str | None,
    as_json: bool,
) -> None:
    # fmt: on
    """Convert SOURCE: a checkpoint (.pt, .safetensors), a NIR graph (.nir) or a network file.

    A checkpoint needs --model and --map; a NIR graph needs --dt.
    """
    by_ending = {".nir": "nir", ".pt": "state_dict", ".pth": "state_dict"}
    kind = kind or by_ending.get(Path(out).suffix, "network")
    check_writable(out, KINDS[kind])
    nir = {"--dt": dt, "--convention": convention, "--reset": reset}
    checkpoint = {"--model": models, "--map": mapping, "--ignore": ignore}
    network, told, lines = _read(source, nir, checkpoint)
    _write(network, kind, Path(out))
    if as_json:
        print_json(told | {"network": repr(network), "written": out, "kind": kind})
        return
    click.echo("\n".join([*lines, "", f"{network!r}", f"written to {out} ({kind})"]))


def _read(source: str, nir: dict, checkpoint: dict) -> tuple[Any, dict, list[str]]:
    """Return the network and its mapping, as plain values and as lines of text."""
    from dendrosim.networks.convert import import_state_dict
    from dendrosim.networks.files import load_network
    from dendrosim.networks.tensors import is_network_file

    path = Path(source)
    is_nir = path.suffix in (".nir", ".h5", ".hdf5")
    ours = path.suffix == ".safetensors" and is_network_file(path)
    for options, wanted in ((nir, is_nir), (checkpoint, not (is_nir or ours))):
        for name, value in options.items():
            if value not in (None, ()) and not wanted:
                what = "a NIR graph" if options is nir else "a checkpoint"
                raise DendrosimError(f"{name} is for {what}, which {source} is not")
    if ours:
        return load_network(path), {}, []
    if is_nir:
        return _from_nir(source, nir)
    if not checkpoint["--model"]:
        raise DendrosimError(f"{source}: a checkpoint needs --model, such as --model lstm_lif")
    result = import_state_dict(
        path, list(checkpoint["--model"]), checkpoint["--map"], checkpoint["--ignore"]
    )
    return result.network, result.to_json(), [result.text()]


def _from_nir(source: str, options: dict) -> tuple[Any, dict, list[str]]:
    from dendrosim.networks.nir import from_nir, proposed_dt
    from dendrosim.tables import aligned

    if options["--dt"] is None:
        dt = proposed_dt(source)
        hint = "" if dt is None else (
            f"; --dt {dt:g} is about a tenth of its shortest time constant"
        )  # fmt: skip
        raise DendrosimError(
            f"{source}: a NIR graph has no step: give --dt in its unit of time{hint}"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the notes contain them
        network = from_nir(
            source, options["--dt"], options["--convention"] or "exact", options["--reset"]
        )
    told = network.metadata["nir"]
    columns = {"node": list(told["nodes"]), "goes to": list(told["nodes"].values())}
    how = f"dt {told['dt']:g}, {told['convention']}, reset: {told['reset']}"
    notes = [f"note: {note}" for note in told["notes"]]
    return network, dict(told), [*aligned(columns), how, *notes]


def _write(network: Any, kind: str, path: Path) -> None:
    if kind == "network":
        network.save(path)
    elif kind == "state_dict":
        from dendrosim.networks.convert import export_state_dict

        export_state_dict(network, path)
    else:
        from dendrosim.networks.nir import to_nir
        from dendrosim.networks.nir_files import write_graph

        write_graph(to_nir(network), path)
