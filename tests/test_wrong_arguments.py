"""Every public function says in one sentence what is wrong with an argument of a wrong type.

The table has a call that works for each function; the test changes one argument at a time into
values that nobody can mean.  What comes out is a result or a `DendrosimError`, never another
exception.
"""

from __future__ import annotations

import inspect
import shutil
from functools import cache
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from brian2 import Quantity, mV

import dendrosim as ds
from dendrosim import DendrosimError, current_clamp, learn, measures
from dendrosim.comparison import protocol_measures, responses
from dendrosim.devices import project
from dendrosim.fitting import cell, problem, targets
from dendrosim.fitting import responses as fit_responses
from dendrosim.fitting.posterior import infer
from dendrosim.learn.tasks.task import Stored, Task
from dendrosim.learn.training import run
from dendrosim.reduction import linear, reduction
from dendrosim.simulation import neuron_axis
from dendrosim.simulation.recording import volts
from dendrosim.simulation.run import make_job
from dendrosim.sweeps import run as sweeps_run

WRONG = {
    "None": None, "a number": 3, "minus one": -1, "zero": 0, "a fraction": 1.5, "nan": np.nan,
    "infinity": np.inf, "a huge number": 10**30, "an imaginary number": 1j, "true": True,
    "no text": "", "a text": "x y", "bytes": b"x", "an object": object(), "a function": len,
    "an empty list": [], "a list of None": [None], "a list of texts": ["a", "b"],
    "a ragged list": [[1, 2], [3]], "an empty dict": {}, "a dict": {"a": 1}, "a set": {1},
    "an empty array": np.zeros(0), "an array of texts": np.array(["a"]),
    "an array of objects": np.array([None, object()]), "a cube": np.zeros((2, 2, 2)),
    "a quantity": Quantity(3 * mV), "a path": Path("nowhere/at/all"), "a class": dict,
}  # fmt: skip


def lif_protocol():
    return ds.Protocol("10 ms", [ds.Stimulus("soma", "constant", amplitude="0.7")])


def passive_cell():
    t = np.arange(0, 0.5, 1e-4)
    command = np.where((t >= 0.1) & (t < 0.4), -1e-10, 0.0)[:, None]
    return current_clamp.ClampRecording("cell.abf", 1e-4, command, command * 1e8 - 0.07)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the calls below need."""
    folder = tmp_path_factory.mktemp("made")
    network = ds.Network.random([ds.Layer("lif", 2, 3)], n_out=2, seed=0)
    network.save(folder / "net.safetensors")
    run = ds.simulate(ds.load_model("lif"), lif_protocol(), device="numpy", progress=False)
    run.save(folder / "run.nc")
    t = np.arange(0, 0.3, 1e-3)
    quick = {"device": "numpy", "progress": False}
    swept = ds.sweep("lif", lif_protocol(), {"amplitude": "[0.5, 0.9]"}, engine=1, spikes=True,
                     out=folder / "s.zarr", measures=["spikes"], **quick)  # fmt: skip
    found = ds.fit("lif", "lif", {"beta": "0.7..0.9"}, protocol=lif_protocol(), population=4,
                   generations=1, **quick)  # fmt: skip
    return {
        "swept": swept, "fit": found, "cell": passive_cell(),
        "posterior": found.posterior(n=64, samples=100, checked=20, progress=False),
        "network": network, "run": run, "folder": folder, "x": np.ones((1, 4, 2)),
        "protocol": lif_protocol(), "model": ds.load_model("lif"),
        "compared": ds.compare(["lif", "lif"], lif_protocol(), device="numpy", names=["a", "b"],
                               progress=False),
        "task": Task("toy", "t", "r", 2, 2, 4, *[Stored(np.ones((2, 4, 2)), [0, 1])] * 3, {}),
        "trained": ds.Network(network.layers, np.ones((2, 3)), np.zeros(2),
                              {"readout": {"rule": "last"}}),
        "step": learn.ContinuousStep(ds.load_model("kepecs_wang_2000")),
        "kepecs": ds.load_model("kepecs_wang_2000"),
        "reduction": ds.reduce("kepecs_wang_2000", "0.1 ms"),
        "t": t, "v": -0.07 + 0.01 * np.sin(200 * t), "i": 0.01 * np.sin(200 * t),
        "a": np.array([0.01, 0.02, 0.021, 0.1, 0.2]), "b": np.array([0.01, 0.05, 0.2]),
    }  # fmt: skip


#: Name to the function, from what is made, and the arguments of a call that works.
CALLS = {
    "load_model": (lambda m: ds.load_model, lambda m: {"name": "lif"}),
    "load_protocol": (lambda m: ds.load_protocol, lambda m: {"name": "constant"}),
    "load_recording": (lambda m: ds.load_recording, lambda m: {"path": m["folder"] / "run.nc"}),
    "load_network": (
        lambda m: ds.load_network,
        lambda m: {"path": m["folder"] / "net.safetensors"},
    ),
    "citation": (lambda m: ds.citation, lambda m: {"names": ["lif"]}),
    "Stimulus": (
        lambda m: ds.Stimulus,
        lambda m: {
            "into": "soma",
            "shape": "ou",
            "sigma": "1",
            "seed": 3,
            "tau": "5 ms",
            "independent": True,
            "start": "0 ms",
            "stop": "5 ms",
        },
    ),
    "Protocol": (
        lambda m: ds.Protocol,
        lambda m: {
            "duration": "10 ms",
            "stimuli": [],
            "measure": {"start": "0 ms"},
            "title": "t",
            "description": "d",
            "name": "n",
            "source": "s",
            "grids": "zip",
        },
    ),
    "Protocol.with_": (
        lambda m: m["protocol"].with_,
        lambda m: {
            "duration": "20 ms",
            "measure": {"start": "1 ms"},
            "amplitude": "0.5",
            "stimuli": {0: {"amplitude": "1"}},
            "grids": "zip",
        },
    ),
    "Protocol.seeded": (lambda m: m["protocol"].seeded, lambda m: {"seed": 3}),
    "Model.with_": (
        lambda m: ds.load_model("kepecs_wang_2000").with_,
        lambda m: {
            "parameters": {"g_c": "2 mS/cm**2"},
            "initial": {"v_s": "-60 mV"},
            "threshold": "v_s > -20*mV",
            "refractory": "2 ms",
            "reset": "",
            "method": "rk4",
            "dt": "0.1 ms",
            "variant": "printed_link",
        },
    ),
    "Model.with_ parameter": (
        lambda m: lambda value: m["model"].with_(parameters={"V_th": value}),
        lambda m: {"value": "2"},
    ),
    "Model.variant": (
        lambda m: ds.load_model("kepecs_wang_2000").variant,
        lambda m: {"name": "printed_link"},
    ),
    "simulate": (
        lambda m: ds.simulate,
        lambda m: {
            "model": m["model"],
            "protocol": m["protocol"],
            "device": "numpy",
            "dt": None,
            "method": None,
            "n": 1,
            "grids": None,
            "seed": 0,
            "threads": 1,
            "record": ["U"],
            "record_dt": None,
            "record_neurons": [0],
            "dtype": "float64",
            "diverged": "raise",
            "progress": False,
        },
    ),
    "compare": (
        lambda m: ds.compare,
        lambda m: {
            "models": ["lif"],
            "protocol": m["protocol"],
            "device": "numpy",
            "dt": "1 ms",
            "method": None,
            "threads": 1,
            "record_dt": "1 ms",
            "progress": False,
            "seed": 0,
            "names": ["a"],
            "grids": None,
        },
    ),
    "sweep": (
        lambda m: ds.sweep,
        lambda m: {
            "model": "lif",
            "protocol": m["protocol"],
            "axes": {"amplitude": "[0.5, 0.9]"},
            "design": "grid",
            "n": None,
            "repeats": 1,
            "seed": 0,
            "measures": ["spikes"],
            "traces": None,
            "spikes": False,
            "record_dt": None,
            "chunk": 64,
            "engine": 1,
            "out": None,
            "task": None,
            "device": "numpy",
            "method": None,
            "dt": None,
            "dtype": "float64",
            "threads": 1,
            "progress": False,
        },
    ),
    "load_sweep": (lambda m: ds.load_sweep, lambda m: {"path": m["folder"] / "s.zarr"}),
    "Sweep.spikes": (lambda m: m["swept"].spikes, lambda m: {"point": 0}),
    "Sweep.plot": (
        lambda m: m["swept"].plot,
        lambda m: {
            "x": "amplitude",
            "y": None,
            "measure": "spikes",
            "path": m["folder"] / "sweep.png",
        },
    ),
    "Sweep.to_xarray": (lambda m: m["swept"].to_xarray, lambda m: {"unstack": True}),
    "fit": (
        lambda m: ds.fit,
        lambda m: {
            "model": "lif",
            "data": "lif",
            "free": {"beta": "0.7..0.9"},
            "protocol": m["protocol"],
            "unseen": (),
            "unseen_data": None,
            "cost": "features",
            "features": ["spikes"],
            "spread": None,
            "optimiser": "cma",
            "population": 4,
            "generations": 1,
            "seed": 0,
            "refine": True,
            "passive": None,
            "series_resistance": None,
            "junction": None,
            "jobs": 1,
            "out": None,
            "device": "numpy",
            "method": None,
            "dt": None,
            "dtype": "float64",
            "threads": 1,
            "progress": False,
        },
    ),
    "Fit.plot": (lambda m: m["fit"].plot, lambda m: {"path": m["folder"] / "fit.png"}),
    "Fit.save": (lambda m: m["fit"].save, lambda m: {"folder": m["folder"] / "fit"}),
    "Fit.text": (lambda m: m["fit"].text, lambda m: {"width": 80}),
    "cell_properties": (
        lambda m: current_clamp.cell_properties,
        lambda m: {"recording": m["cell"]},
    ),
    "Fit.posterior": (
        lambda m: m["fit"].posterior,
        lambda m: {"n": 64, "samples": 100, "checked": 20, "seed": 0, "progress": False},
    ),
    "Posterior.plot": (lambda m: m["posterior"].plot, lambda m: {"path": m["folder"] / "p.png"}),
    "Posterior.save": (lambda m: m["posterior"].save, lambda m: {"folder": m["folder"] / "p"}),
    "Posterior.text": (lambda m: m["posterior"].text, lambda m: {"width": 80}),
    "efel_names": (lambda m: measures.efel_names, lambda m: {}),
    "reduce": (
        lambda m: ds.reduce,
        lambda m: {
            "model": m["kepecs"],
            "dt": "0.1 ms",
            "to": "linear",
            "method": "euler",
            "threshold": "-50 mV",
            "holding": "-60 mV",
            "fit": None,
            "unseen": (),
            "device": "cpp",
            "fit_dt": None,
            "generations": None,
            "population": None,
            "seed": None,
            "progress": False,
        },
    ),
    "Reduction.save": (
        lambda m: m["reduction"].save,
        lambda m: {"path": m["folder"] / "reduced.toml"},
    ),
    "Recording.save": (lambda m: m["run"].save, lambda m: {"path": m["folder"] / "again.nc"}),
    "Recording.voltage": (lambda m: m["run"].voltage, lambda m: {"place": "soma", "neurons": [0]}),
    "Recording.spikes": (lambda m: m["run"].spikes, lambda m: {"neuron": 0}),
    "Comparison.save": (lambda m: m["compared"].save, lambda m: {"folder": m["folder"] / "all"}),
    "Comparison.plot": (lambda m: m["compared"].plot, lambda m: {"path": m["folder"] / "a.png"}),
    "Layer": (
        lambda m: ds.Layer,
        lambda m: {
            "model": "lif",
            "n_in": 2,
            "n": 3,
            "recurrent": False,
            "input_weights": {"I": np.ones((3, 2))},
            "recurrent_weights": {},
            "bias": {"I": np.zeros(3)},
            "parameters": {"V_th": "2"},
        },
    ),
    "Network": (
        lambda m: ds.Network,
        lambda m: {
            "layers": m["network"].layers,
            "readout_weights": np.ones((2, 3)),
            "readout_bias": np.zeros(2),
        },
    ),
    "Network.random": (
        lambda m: ds.Network.random,
        lambda m: {"layers": [ds.Layer("lif", 2, 3)], "n_out": 2, "seed": 0},
    ),
    "Network.save": (
        lambda m: m["network"].save,
        lambda m: {"path": m["folder"] / "b.safetensors"},
    ),
    "run_network": (
        lambda m: ds.run_network,
        lambda m: {
            "network": m["network"],
            "x": m["x"],
            "device": "numpy",
            "threads": 1,
            "dtype": "float64",
            "record": {0: ("U",)},
            "batch": 1,
            "progress": False,
        },
    ),
    "verify": (
        lambda m: ds.verify,
        lambda m: {
            "network": m["network"],
            "x": m["x"][:, :1],
            "devices": ["torch", "numpy"],
            "dtype": "float64",
            "tie": 1e-9,
            "batch": 1,
            "progress": False,
        },
    ),
    **{
        name: (lambda m, name=name: getattr(measures, name.partition(" ")[0]), arguments)
        for name, arguments in {
            "adaptation_index": lambda m: {"spikes": m["a"]},
            "burst_phase": lambda m: {"onsets": m["a"], "frequency": 10.0, "start": 0.0},
            "burst_phase of cycles": lambda m: {"onsets": m["a"], "cycles": m["b"]},
            "burst_threshold": lambda m: {"spikes": m["a"]},
            "bursts": lambda m: {
                "spikes": m["a"],
                "max_isi": 0.02,
                "min_spikes": 2,
                "start": 0.0,
            },
            "coincidence_factor": lambda m: {
                "a": m["a"],
                "b": m["b"],
                "precision": 2e-3,
                "duration": 0.3,
            },
            "coincidences": lambda m: {"a": m["a"], "b": m["b"], "precision": 2e-3},
            "cv_isi": lambda m: {"spikes": m["a"]},
            "efel_features": lambda m: {
                "times": m["t"],
                "v": m["v"],
                "spike_features": ["Spikecount"],
                "threshold": -0.02,
                "start": 0.0,
                "stop": 0.2,
            },
            "exclude_spikes": lambda m: {
                "times": m["t"],
                "spikes": m["a"],
                "before": 1e-3,
                "after": 5e-3,
            },
            "find_spikes": lambda m: {"v": m["v"], "dt": 1e-4},
            "firing_rate": lambda m: {"spikes": m["a"], "start": 0.0, "stop": 0.3},
            "first_spike_latency": lambda m: {"spikes": m["a"], "start": 0.0, "stop": 0.3},
            "gain": lambda m: {"amplitudes": [1, 2, 3], "rates": [0, 2, 5]},
            "impedance": lambda m: {
                "times": m["t"],
                "current": m["i"],
                "voltage": m["v"],
                "f_min": 10.0,
                "f_max": 50.0,
                "smoothing": 0.5,
            },
            "input_resistance_and_tau": lambda m: {
                "times": m["t"],
                "voltage": m["v"],
                "step_start": 0.1,
                "step_stop": 0.2,
                "amplitude": 1e-3,
            },
            "isi": lambda m: {"spikes": m["a"]},
            "level_crossings": lambda m: {
                "times": m["t"],
                "v": m["v"],
                "level": -0.065,
                "interpolate": True,
            },
            "resonance": lambda m: {"frequencies": [1.0, 2, 3], "impedance": [1 + 1j, 3, 1]},
            "rheobase": lambda m: {"amplitudes": [1, 2, 3], "counts": [0, 2, 5]},
            "spike_times_from_trace": lambda m: {
                "times": m["t"],
                "v": m["v"],
                "slope": 10.0,
                "peak": -0.01,
                "height": 0.02,
            },
            "van_rossum": lambda m: {"a": m["a"], "b": m["b"], "tau": 0.01},
            "victor_purpura": lambda m: {"a": m["a"], "b": m["b"], "cost": 10.0},
            "voltage_error": lambda m: {
                "v": m["v"],
                "reference": m["v"],
                "mask": np.ones(m["v"].shape, dtype=bool),
            },
        }.items()
    },
}


def written_anew(**arguments):
    """Write a project, and take it away again."""
    shutil.rmtree(project.generate_project(**arguments))


#: The same for `dendrosim.learn`; training itself is replaced.
CALLS |= {
    "ContinuousStep": (
        lambda m: learn.ContinuousStep,
        lambda m: {"model": m["kepecs"], "method": "euler"},
    ),
    "ContinuousStep.initial": (
        lambda m: m["step"].initial,
        lambda m: {"dtype": torch.float32},
    ),
    "ContinuousStep.values": (lambda m: m["step"].values, lambda m: {"dtype": torch.float32}),
    "ContinuousStep()": (
        lambda m: m["step"],
        lambda m: {
            "state": m["step"].initial(),
            "inputs": {"I_d": 0.01},
            "values": m["step"].values(),
            "dt": 2e-5,
            "t": 0.0,
        },
    ),
    "DiscreteStep": (
        lambda m: learn.DiscreteStep,
        lambda m: {
            "model": m["model"],
            "surrogate": "triangle",
            "width": 1.0,
            "detach_reset": False,
        },
    ),
    "DiscreteStep()": (
        lambda m: learn.DiscreteStep(m["model"]),
        lambda m: {
            "state": {"U": torch.zeros(3), "S": torch.zeros(3)},
            "ports": {"I": torch.ones(3)},
            "values": {"beta": torch.tensor(0.5), "V_th": torch.tensor(1.0)},
        },
    ),
    "TorchNetwork": (
        lambda m: learn.TorchNetwork,
        lambda m: {
            "network": m["network"],
            "surrogate": "triangle",
            "width": 1.0,
            "detach_reset": False,
            "dtype": torch.float64,
            "fused": False,
        },
    ),
    "TorchNetwork()": (
        lambda m: learn.TorchNetwork(m["network"], fused=False),
        lambda m: {"x": torch.ones(1, 4, 2), "record": {0: ("U",)}},
    ),
    "CellNetwork": (
        lambda m: learn.CellNetwork,
        lambda m: {
            "kind": "lstm",
            "sizes": (2, 3),
            "n_out": 2,
            "seed": 0,
            "dtype": torch.float32,
        },
    ),
    "CellNetwork()": (
        lambda m: learn.CellNetwork("lstm", (2, 3), 2),
        lambda m: {"x": torch.ones(1, 4, 2)},
    ),
    "load_recipe": (
        lambda m: learn.load_recipe,
        lambda m: {"name": "digits_lif", "changes": ["training.epochs=1"]},
    ),
    "train": (
        lambda m: learn.train,
        lambda m: {
            "recipe": "digits_lif",
            "out": m["folder"] / "run",
            "seed": 0,
            "resume": False,
            "changes": [],
            "task": None,
            "data": None,
            "device": "cpu",
            "threads": 1,
            "precision": "float32",
            "save_seconds": 60.0,
            "save_steps": 1,
            "progress": False,
            "on_epoch": None,
        },
    ),
    "generate_project": (
        lambda m: written_anew,
        lambda m: {
            "job": make_job(m["model"], m["protocol"]),
            "folder": m["folder"] / "project",
            "device": "cpp",
            "title": "t",
            "check": False,
            "build": False,
            "threads": 1,
        },
    ),
}


#: Of what a comparison measures.
CALLS |= {
    "measures.grid": (
        lambda m: neuron_axis.grid,
        lambda m: {"protocol": m["protocol"], "neurons": 1},
    ),
    "measures.other_grids": (
        lambda m: neuron_axis.other_grids,
        lambda m: {"recording": m["run"], "protocol": m["protocol"]},
    ),
    "measures.onsets": (
        lambda m: neuron_axis.onsets,
        lambda m: {"protocol": m["protocol"], "neurons": 1},
    ),
    "measures.is_steady": (
        lambda m: neuron_axis.is_steady,
        lambda m: {"protocol": m["protocol"]},
    ),
    "measures.curve": (
        lambda m: protocol_measures.curve,
        lambda m: {"trains": [m["a"]], "protocol": m["protocol"]},
    ),
    "measures.burst_shape": (
        lambda m: protocol_measures.burst_shape,
        lambda m: {"train": m["a"], "start": 0.0, "stop": 0.2, "end": 0.3, "steady": True},
    ),
    "measures.chirp_phase": (
        lambda m: protocol_measures.chirp_phase,
        lambda m: {"trains": [m["a"]], "protocol": ds.load_protocol("chirp")},
    ),
    "measures.train_errors": (
        lambda m: protocol_measures.train_errors,
        lambda m: {"trains": [m["a"]], "reference": [m["b"]], "start": 0.0, "stop": 0.3},
    ),
    "responses.volts": (
        lambda m: volts,
        lambda m: {"recording": m["run"], "place": "soma", "neurons": [0]},
    ),
    "responses.voltage_errors": (
        lambda m: responses.voltage_errors,
        lambda m: {"recording": m["run"], "reference": m["run"], "start": 0.0, "stop": 0.01},
    ),
    "responses.impedances": (
        lambda m: responses.impedances,
        lambda m: {"recording": m["run"], "protocol": m["protocol"]},
    ),
    "responses.impedance_measures": (
        lambda m: responses.impedance_measures,
        lambda m: {"recording": m["run"], "protocol": m["protocol"], "reference": m["run"]},
    ),
    "responses.spike_shape": (
        lambda m: responses.spike_shape,
        lambda m: {"recording": m["run"], "neuron": 0, "start": 0.0, "stop": 0.01},
    ),
    "evaluate": (
        lambda m: learn.evaluate,
        lambda m: {
            "network": m["trained"],
            "task": m["task"],
            "device": "torch",
            "part": "test",
            "limit": 1,
            "batch": 1,
            "threads": 1,
            "progress": False,
        },
    ),
}


def called(function, arguments):
    """Call with the first arguments by place where they cannot be named."""
    known = inspect.signature(function).parameters
    several = next((n for n, p in known.items() if p.kind is p.VAR_POSITIONAL), None)
    named = dict(arguments)
    values = named.pop(several, ()) if several else ()
    return function(*values, **named)


def outcomes(name, made):
    """Yield what each wrong argument gave, where it is no result and no sentence."""
    make, arguments = CALLS[name]
    function, valid = make(made), arguments(made)
    several = {
        n for n, p in inspect.signature(function).parameters.items()
        if p.kind is inspect.Parameter.VAR_POSITIONAL
    }  # fmt: skip
    for parameter in valid:
        for what, value in WRONG.items():
            changed = valid | {parameter: [value] if parameter in several else value}
            try:
                called(function, changed)
            except DendrosimError as error:
                if not str(error).strip():
                    yield f"{parameter} = {what}: an empty message"
            except Exception as error:
                yield f"{parameter} = {what}: {type(error).__name__}: {error}"


@pytest.fixture
def quick(monkeypatch):
    """What takes long once the arguments have been checked is done once."""
    for room, slow in ((linear, "stable_rest"), (reduction, "linear_part")):
        monkeypatch.setattr(room, slow, cache(getattr(room, slow)))
    monkeypatch.setattr(run, "RunFolder", Mock())
    monkeypatch.setattr(sweeps_run, "run_chunks", lambda *_: iter(()))
    monkeypatch.setattr(infer, "infer", lambda *_: None)
    known = {}

    def responses(model, protocol, values, points, runs, times=None):
        if not known:
            known[0] = respond(model, protocol, {}, 1, runs)
        return known[0] * points

    respond = problem.respond
    for room in (problem, fit_responses, targets, cell):
        monkeypatch.setattr(room, "respond", responses)
    monkeypatch.setattr(project.execute, "write_source", Mock(return_value={}))
    monkeypatch.setattr(project, "_beside", Mock())


@pytest.mark.filterwarnings("ignore::dendrosim.errors.DendrosimWarning")
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_argument_is_a_sentence(name, made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, arguments = CALLS[name]
    called(make(made), arguments(made))  # so the others are wrong by one argument alone
    assert list(outcomes(name, made)) == []


def test_every_public_function_is_in_the_table():
    """Names of the package and of the features, but for errors and results."""
    results = {"Fit", "Posterior", "Sweep", "Model", "Recording", "Reduction", "Comparison",
               "DendrosimError", "DivergenceError", "DendrosimWarning", "__version__",
               "SURROGATES", "Evaluation", "Recipe", "TorchOutput", "TrainingResult"}  # fmt: skip
    public = {*ds.__all__, *measures.__all__, *learn.__all__} - results
    public = {n for n in public if not inspect.isclass(getattr(measures, n, None))}
    assert public <= CALLS.keys()
