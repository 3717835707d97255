"""The command ``generate``: writes a C++ or CUDA project."""

from __future__ import annotations

from typing import Any

import click

from dendrosim.cli.options import JSON, print_json, read_array
from dendrosim.cli.settings import SET, prepare
from dendrosim.errors import DendrosimError


@click.command()
@click.argument("model")
@click.argument("protocol", required=False, metavar="[PROTOCOL]")
@click.option("--device", default="cuda", show_default=True, help="cpp or cuda.")
@click.option("--dir", "folder", required=True, help="Folder to write; new or empty.")
@click.option("--check", is_flag=True, help="Compile without linking: seconds, no GPU needed.")
@click.option("--build", is_flag=True, help="Make the program.")
@click.option("--input", "x", help="For a network: .npy of shape (B, T, n_in) or (T, n_in).")
@click.option("--recording", help="ABF file that gives the current of protocol 'recorded'.")
@SET
@click.option("--n", default=1, show_default=True, help="Neurons for each point of a grid.")
@click.option("--record", multiple=True, help="Variable to record; the potentials by default.")
@click.option("--dt", help='Time step, such as "0.05 ms".')
@click.option("--method", help="Integration method, such as rk4.")
@click.option("--dtype", default="float64", show_default=True, help="float64 or float32.")
@JSON
def generate(
    model: str, protocol: str | None, device: str, folder: str, check: bool, build: bool,
    x: str | None, recording: str | None, settings: tuple[str, ...], n: int,
    record: tuple[str, ...], dt: str | None, method: str | None, dtype: str, as_json: bool,
) -> None:  # fmt: skip
    """Write a complete project for MODEL under PROTOCOL, or for a network (.safetensors).

    The folder contains readable source, the values, a script that runs the program with them, and
    a README.  A CUDA project can be written and, with --check, compiled without a GPU.
    """
    from dendrosim.devices.project import generate_project

    if model.endswith(".safetensors"):
        if protocol is not None or settings:
            raise DendrosimError("a network takes --input, no protocol and no --set")
        job: Any = _network_job(model, x, record, dtype)
    else:
        from dendrosim.simulation.run import make_job

        (neuron,), how = prepare([model], protocol or "constant", recording, settings)
        job = make_job(
            neuron, how, dt=dt, method=method, n=n, record=list(record) or None, dtype=dtype
        )
    path = generate_project(job, folder, device=device, title=model, check=check, build=build)
    if as_json:
        print_json({"folder": str(path), "device": device, "checked": check, "built": build})
        return
    done = "built" if build else "compiled without linking" if check else "written"
    click.echo(f"{path}: {device} project of {model}, {done}; see README.md there")


def _network_job(model: str, x: str | None, record: tuple[str, ...], dtype: str) -> Any:
    from dendrosim.devices.execute import check_dtype
    from dendrosim.networks.files import load_network
    from dendrosim.networks.inputs import as_input
    from dendrosim.networks.job import NetworkJob

    if record:
        raise DendrosimError("--record is for neurons, not for a network")
    if x is None:
        raise DendrosimError(f"{model}: a network needs --input x.npy")
    check_dtype(dtype)
    network = load_network(model)
    return NetworkJob(network, as_input(network, read_array(x)), {}, dtype)
