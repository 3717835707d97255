"""The kinds of files that the package reads: good ones, what changes them, and who reads them."""

from __future__ import annotations

import io
import json
import tempfile
import tomllib
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fuzz import mutations as m

EPHYS = Path(__file__).parents[3] / "shared/data/ephys/171116sh_0016.abf"
Mutation = Callable[[np.random.Generator, bytes], bytes]


class Kind(NamedTuple):
    """A kind of file.

    Attributes
    ----------
    ending
        Of its name.
    seeds
        Makes good files.
    mutations
        One of them changes a good file.
    read
        Reads a file as the package does.
    share
        Of all cases, to 1 of most kinds.
    """

    ending: str
    seeds: Callable[[], list[bytes]]
    mutations: tuple[Mutation, ...]
    read: Callable[[Path], object]
    share: float = 1


def toml(rng: np.random.Generator, content: bytes) -> bytes:
    """Change a TOML file as tables."""
    from dendrosim.shelves import toml_text

    changed = m.table(rng, tomllib.loads(content.decode()))
    try:
        return toml_text(changed).encode("utf-8", "surrogatepass")
    except (AttributeError, TypeError, RecursionError):  # no table any more
        return repr(changed).encode()


def toml_lines(rng: np.random.Generator, content: bytes) -> bytes:
    """Change a TOML file as text."""
    return m.text(rng, content.decode()).encode("utf-8", "surrogatepass")


def _shelf(kind: str) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        from dendrosim.shelves import shelf

        return [path.read_bytes() for path in sorted(shelf(kind).glob("*.toml"))]

    return seeds


@cache
def _network():
    import dendrosim as ds

    rng = np.random.default_rng(0)
    layers = [ds.Layer("alif", 3, 4, recurrent=True, parameters={"tau_m": rng.uniform(5, 9, 4)}),
              ds.Layer("lrmm", 4, 2)]  # fmt: skip
    return ds.Network.random(layers, 2, seed=1)


def _written(*writers: tuple[str, Callable[[Path], object]]) -> list[bytes]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for ending, write in writers:
            path = Path(folder) / f"good{ending}"
            write(path)
            found.append(path.read_bytes())
    return found


def _networks() -> list[bytes]:
    return _written((".safetensors", _network().save))


def _checkpoints(ending: str) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        from dendrosim.networks.convert import export_state_dict

        return _written((ending, lambda path: export_state_dict(_network(), path)))

    return seeds


def _graphs() -> list[bytes]:
    import nir

    one = {"r": np.ones(4), "v_leak": np.zeros(4), "v_threshold": np.ones(4),
           "v_reset": np.zeros(4)}  # fmt: skip
    taus = {"tau_syn": np.full(4, 5.0), "tau_mem": np.full(4, 9.0)}
    nodes = {
        "in": nir.Input(np.array([3])), "w": nir.Affine(np.ones((4, 3)), np.zeros(4)),
        "n": nir.LIF(tau=np.full(4, 5.0), **one), "r": nir.Linear(np.ones((4, 4))),
        "v": nir.Linear(np.ones((4, 4))), "c": nir.CubaLIF(**taus, **one),
        "out": nir.Output(np.array([4])),
    }  # fmt: skip
    edges = [("in", "w"), ("w", "n"), ("n", "r"), ("r", "n"), ("n", "v"), ("v", "c"), ("c", "out")]
    return _written((".nir", lambda path: nir.write(path, nir.NIRGraph(nodes, edges))))


def _recordings() -> list[bytes]:
    import xarray as xr

    from dendrosim.simulation.recording import Recording

    time = np.arange(5) * 1e-3
    traces = xr.Dataset(
        {"v_s": (("time", "neuron"), np.zeros((5, 2)), {"units": "volt"})},
        {"time": ("time", time, {"units": "second"}), "neuron": [0, 1]},
    )  # fmt: skip
    text = {
        "model": "lif",
        "protocol": "p",
        "parameters": {"g": "1 mS"},
        "potentials": {"soma": "v_s"},
        "scales": None,
        "stimuli": [{"into": ["I_s"]}],
        "measure": [0, 5e-3],
        "grids": [{"key": "stimuli.0.amplitude", "unit": "A", "values": [0.0, 1.0]}],
        "diverged": {"1": 0.5},
        "device": "numpy",
    }
    meta = text | {"neurons": 2, "duration": 5e-3, "dt": 1e-3, "record_dt": 1e-3, "seed": 0}
    recording = Recording(np.array([0, 1]), np.array([1e-3, 2e-3]), traces, meta)
    return _written((".nc", recording.save))


def _abfs() -> list[bytes]:
    return [EPHYS.read_bytes()]  # pyabf writes no command, so none can be made here


def _arrays() -> list[bytes]:
    stream = io.BytesIO()
    np.save(stream, np.ones((4, 3)))
    return [stream.getvalue()]


# Readers, with all that is imported late


def _model(path: Path) -> object:
    from dendrosim.cli.show import model_page
    from dendrosim.model.toml import load_model

    return model_page(load_model(path))


def _protocol(path: Path) -> object:
    from dendrosim.cli.show import protocol_page
    from dendrosim.simulation.protocol_files import load_protocol

    return protocol_page(load_protocol(path))


def _recipe(path: Path) -> object:
    from dendrosim.learn.training.recipe import load_recipe

    recipe = load_recipe(path)
    return load_recipe(recipe).text  # as a run's folder keeps it


def _network_file(path: Path) -> object:
    from dendrosim.learn.networks.trained_cells import load_trained

    return repr(load_trained(path))


def _checkpoint(path: Path) -> object:
    from dendrosim.networks.convert import import_state_dict

    return import_state_dict(path, ["alif", "lrmm"], ["auto"]).text()


def _graph(path: Path) -> object:
    from dendrosim.networks.nir import from_nir

    return from_nir(path, 0.5, "norse")


def _recording(path: Path) -> object:
    from dendrosim.simulation.recording import load_recording

    return load_recording(path)


def _abf(path: Path) -> object:
    from dendrosim.current_clamp.recorded import read_abf

    return read_abf(path)


def _array(path: Path) -> object:
    from dendrosim.cli.options import read_array

    return read_array(str(path)).shape


KINDS: dict[str, Kind] = {
    "model": Kind(".toml", _shelf("models"), (toml, toml, toml_lines, m.data), _model, 2),
    "protocol": Kind(".toml", _shelf("protocols"), (toml, toml, toml_lines, m.data), _protocol, 2),
    "recipe": Kind(".toml", _shelf("recipes"), (toml, toml, toml_lines, m.data), _recipe, 2),
    "network": Kind(".safetensors", _networks, (m.safetensors, m.safetensors, m.data),
                    _network_file, 2),
    "checkpoint": Kind(".pt", _checkpoints(".pt"), (m.data,), _checkpoint),
    "tensors": Kind(".safetensors", _checkpoints(".safetensors"), (m.safetensors, m.data),
                    _checkpoint),
    "nir": Kind(".nir", _graphs, (m.hdf5, m.hdf5, m.heap, m.data), _graph),
    "recording": Kind(".nc", _recordings, (m.hdf5, m.hdf5, m.heap, m.data), _recording),
    "abf": Kind(".abf", _abfs, (m.data,), _abf),
    "npy": Kind(".npy", _arrays, (m.npy, m.npy, m.data), _array),
}  # fmt: skip
if not EPHYS.is_file():  # a checkout without the recordings beside it
    del KINDS["abf"]


def seeds_of(name: str) -> list[bytes]:
    """Return the good files of a kind; a warning of a writer means nothing here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return KINDS[name].seeds()


def case(name: str, number: int, seeds: list[bytes]) -> bytes:
    """Return the file of a case: always the same for a kind and a number."""
    rng = np.random.default_rng([number, *name.encode()])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return m.pick(rng, KINDS[name].mutations)(rng, m.pick(rng, seeds))


def plan(count: int, first: int = 0) -> list[tuple[str, int]]:
    """Return kind and number of each case, so many in all."""
    total = sum(kind.share for kind in KINDS.values())
    found = [
        (name, first + number)
        for name, kind in KINDS.items()
        for number in range(round(count * kind.share / total))
    ]
    json.dumps(found)  # plain values, as the runner hands them on
    return found
