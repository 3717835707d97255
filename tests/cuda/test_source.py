"""CUDA source without a GPU: what is generated, and that nvcc takes it.

Runs in the environment of brian2cuda (`make cuda-source`); elsewhere it is skipped.
"""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

pytest.importorskip("brian2cuda", reason="brian2cuda has an environment of its own: make cuda")

import dendrosim as ds
from dendrosim import cuda_target, library
from dendrosim.cli import main
from dendrosim.errors import DendrosimError
from dendrosim.generate import generate_project, step_order
from dendrosim.network_run import NetworkJob
from dendrosim.simulation import make_job

pytestmark = pytest.mark.skipif(cuda_target.find_toolkit() is None, reason="no nvcc here")


def job_of(name: str, **options):
    model = ds.load_model(name)
    unit = " uA/cm**2" if model.kind == "continuous" else ""
    place = next(iter(model.inputs))
    stimuli = [
        ds.Stimulus(place, "constant", amplitude=f"[0.5, 1, 2]{unit}"),
        ds.Stimulus(place, "ou", sigma=f"0.1{unit}"),
    ]
    options.setdefault("dt", None if model.dt is not None else "1 ms")
    return make_job(model, ds.Protocol("50 ms", stimuli), **options)


def network_job(name: str):
    layers = [ds.Layer(name, 2, 8, recurrent=True), ds.Layer(name, 8, 6, recurrent=True),
              ds.Layer(name, 6, 5)]  # fmt: skip
    return NetworkJob(ds.Network.random(layers, n_out=2), np.ones((3, 10, 2)), {})


@pytest.mark.parametrize("name", library.names("models"))
def test_every_model_compiles(name, tmp_path):
    generate_project(job_of(name), tmp_path / "project", check=True)
    assert (tmp_path / "project/main.cu").is_file()


@pytest.mark.parametrize("name", ["lstm_lif", "lrmm"])
def test_three_layer_networks_compile(name, tmp_path):
    generate_project(network_job(name), tmp_path / "project", check=True)


@pytest.mark.parametrize("method", ["euler", "rk2", "rush_larsen", "rush_larsen2"])
def test_every_method_compiles(method, tmp_path):
    job = job_of("kepecs_wang_2000", method=method, dtype="float32")
    generate_project(job, tmp_path / "project", check=True)


def test_check_finds_an_error(tmp_path):
    folder = generate_project(job_of("lif"), tmp_path / "project")
    source = next(folder.glob("code_objects/neurons_update*.cu"))
    source.write_text(source.read_text().replace("U = ", "U = undefined_name + ", 1))
    with pytest.raises(DendrosimError, match="undefined_name"):
        cuda_target.check_source(folder)


def test_order_of_a_step_is_that_of_the_papers(tmp_path):
    """Golden: sums and text of a layer before those of the next; spikes are recorded last."""
    folder = generate_project(network_job("lstm_lif"), tmp_path / "project")
    order = [
        re.sub(r"_codeobject.*|_\d+$", "", n) for n in step_order((folder / "main.cu").read_text())
    ]
    wanted = ["run_source_x"]
    for k in range(3):
        wanted += [f"layer_{k}_sums", f"layer_{k}_update"]
    assert [name for name in order if name in wanted] == wanted
    last = order.index("layer_2_update")
    assert all(order.index(f"spikes_{k}") > last for k in range(3))


def test_project_says_how_it_is_run(tmp_path):
    folder = generate_project(job_of("kepecs_wang_2000"), tmp_path / "project", title="K-W")
    script = (folder / "run.sh").read_text()
    assert "neurons.g_c=10.0" in script and "control.run_duration=0.05" in script
    files = re.findall(r"=(arguments/\d+\.bin)", script)
    assert files and all((folder / name).is_file() for name in files)
    assert (folder / "README.md").read_text().startswith("K-W\n===")


def test_run_without_a_gpu_is_one_sentence(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cuda_target, "has_gpu", lambda: False)
    assert main(["run", "lif", "constant", "--set", "amplitude=0.5", "--device", "cuda"]) == 2
    said = capsys.readouterr().err
    assert "needs an NVIDIA GPU" in said and said.count("\n") == 1
    monkeypatch.setattr(cuda_target, "find_toolkit", lambda: None)
    assert main(["run", "lif", "constant", "--set", "amplitude=0.5", "--device", "cuda"]) == 2
    assert "nvcc" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_source_is_written_without_a_toolkit(tmp_path, monkeypatch):
    monkeypatch.setattr(cuda_target, "find_toolkit", lambda: None)
    folder = generate_project(job_of("lif"), tmp_path / "project")
    assert (folder / "main.cu").is_file()
    shutil.rmtree(folder)
    with pytest.raises(DendrosimError, match="nvcc"):
        generate_project(job_of("lif"), folder, check=True)
    assert not folder.exists()
