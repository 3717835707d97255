"""CUDA source without a GPU: what is generated, and that nvcc takes it.

Runs in the environment of brian2cuda (`make cuda-source`); elsewhere it is skipped.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("brian2cuda", reason="brian2cuda has an environment of its own: make cuda")

import dendrosim as ds
from dendrosim import shelves
from dendrosim.cli.commands import main
from dendrosim.devices import cuda, cuda_check, cuda_toolkit
from dendrosim.devices.project import generate_project, step_order
from dendrosim.errors import DendrosimError
from dendrosim.networks.job import NetworkJob
from dendrosim.simulation.run import make_job

pytestmark = pytest.mark.skipif(cuda_toolkit.find_toolkit() is None, reason="no nvcc here")


def job_of(name: str, **options):
    model = ds.load_model(name)
    place = next(iter(model.inputs))
    physical = model.kind == "continuous" or model.scales is not None
    unit = " uA/cm**2" if physical else ""
    stimuli = [
        ds.Stimulus(place, "constant", amplitude=f"[0.5, 1, 2]{unit}"),
        ds.Stimulus(place, "ou", sigma=f"0.1{unit}"),
    ]
    options.setdefault("dt", None if model.dt is not None else "1 ms")
    return make_job(model, ds.Protocol("50 ms", stimuli), **options)


def network_job(name: str, dtype: str = "float64"):
    layers = [ds.Layer(name, 2, 8, recurrent=True), ds.Layer(name, 8, 6, recurrent=True),
              ds.Layer(name, 6, 5)]  # fmt: skip
    return NetworkJob(ds.Network.random(layers, n_out=2), np.ones((3, 10, 2)), {}, dtype)


@pytest.mark.parametrize("name", shelves.names("models"))
def test_every_model_compiles(name, tmp_path):
    generate_project(job_of(name), tmp_path / "project", check=True)
    assert (tmp_path / "project/main.cu").is_file()


@pytest.mark.parametrize(
    ("name", "dtype"), [("lstm_lif", "float64"), ("lstm_lif", "float32"), ("lrmm", "float64")]
)
def test_three_layer_networks_compile(name, dtype, tmp_path):
    generate_project(network_job(name, dtype), tmp_path / "project", check=True)


def test_the_command_checks_a_network_file(tmp_path, capsys):
    network_job("lrmm").network.save(tmp_path / "net.safetensors")
    np.save(tmp_path / "x.npy", np.ones((2, 10, 2)))
    words = ["generate", tmp_path / "net.safetensors", "--input", tmp_path / "x.npy", "--device",
             "cuda", "--dir", tmp_path / "project", "--check", "--dtype", "float32"]  # fmt: skip
    assert main([*map(str, words)]) == 0
    assert "compiled without linking" in capsys.readouterr().out
    assert (tmp_path / "project/README.md").is_file()


def test_a_step_calls_no_function_and_in_float32_no_double(tmp_path):
    """A power is a product: pow is a call of a hundred instructions, and for a float in double."""
    toolkit = cuda_toolkit.find_toolkit()
    for dtype, other in (("float32", "f64"), ("float64", "f32")):
        folder = tmp_path / dtype
        generate_project(job_of("kepecs_wang_2000", method="rk4", dtype=dtype), folder)
        command = [toolkit.root / "bin/nvcc", "-w", "-std=c++17", "-arch=sm_90", "-ptx",
                   "-rdc=true", "-o", folder / "step.ptx", f"-I{folder}",
                   f"-I{toolkit.curand_include}",
                   *folder.glob("code_objects/neurons_stateupdater*.cu")]  # fmt: skip
        subprocess.run(command, check=True)
        kernel = (folder / "step.ptx").read_text().partition(".entry ")[2]
        assert kernel.count("\n") > 500 and "call" not in kernel.replace("callseq", "")
        found = re.findall(r"\b(?:fma|mul|add|sub|div)\.(?:r[a-z]\.)?(f\d\d)", kernel)
        wrong = found.count(other)
        # a double exponential begins with a float, and time is double
        assert len(found) > 400 and wrong < (3 if dtype == "float32" else 60)


def test_whole_powers_on_the_host(tmp_path):
    """The same text as the GPU's, against the standard library's pow."""
    lines = [
        f"worst = std::max(worst, std::fabs(_brian_pow({kind}(x), {n})/pow(double({kind}(x)), {n})"
        f" - 1)/std::numeric_limits<{kind}>::epsilon());"
        for kind in ("double", "float") for n in (-3, -1, 0, 1, 2, 3, 4, 7)
    ]  # fmt: skip
    (tmp_path / "power.cpp").write_text(
        "#include <cmath>\n#include <cstdio>\n#include <limits>\n#include <algorithm>\n"
        f"#define __host__\n#define __device__\n{cuda._POWER}\n"
        "int main() { double worst = 0; for (double x = -2.3; x < 3; x += 0.7) {"
        f"{' '.join(lines)} }}"
        ' printf("%g %d %d", worst, _brian_pow(2.0, 0.5) == sqrt(2.0), (int)_brian_pow(3, 2)); }'
    )
    program = tmp_path / "power"
    subprocess.run(["g++", "-w", "-o", program, tmp_path / "power.cpp"], check=True)
    worst, root, nine = subprocess.run([program], capture_output=True, text=True).stdout.split()
    assert float(worst) < 4 and (root, nine) == ("1", "9")


def test_another_compiler_and_gpu_can_build_a_project(tmp_path):
    folder = generate_project(job_of("lif"), tmp_path / "project")
    make = subprocess.run(
        ["make", "-n", "--no-print-directory", "NVCC=nvcc-of-there", "ARCH=native"], cwd=folder,
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert len(make) > 8
    for line in make:
        assert line.split()[0] == "nvcc-of-there"
        assert "-arch=native" in line and "sm_" not in line
    assert "make NVCC=nvcc ARCH=native" in (folder / "README.md").read_text()


@pytest.mark.parametrize("method", ["euler", "rk2", "rush_larsen", "rush_larsen2"])
def test_every_method_compiles(method, tmp_path):
    job = job_of("kepecs_wang_2000", method=method, dtype="float32")
    generate_project(job, tmp_path / "project", check=True)


def test_check_finds_an_error(tmp_path):
    folder = generate_project(job_of("lif"), tmp_path / "project")
    source = next(folder.glob("code_objects/neurons_update*.cu"))
    source.write_text(source.read_text().replace("U = ", "U = undefined_name + ", 1))
    with pytest.raises(DendrosimError, match="undefined_name"):
        cuda_check.check_source(folder)


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
    monkeypatch.setattr(cuda_toolkit, "has_gpu", lambda: False)
    assert main(["run", "lif", "constant", "--set", "amplitude=0.5", "--device", "cuda"]) == 2
    said = capsys.readouterr().err
    assert "needs an NVIDIA GPU" in said and said.count("\n") == 1
    monkeypatch.setattr(cuda_toolkit, "find_toolkit", lambda: None)
    assert main(["run", "lif", "constant", "--set", "amplitude=0.5", "--device", "cuda"]) == 2
    assert "nvcc" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_command_says_nothing_else(tmp_path):
    """Neither Brian2, brian2cuda nor setuptools tell of themselves."""
    code = "import sys; from dendrosim.cli.commands import main; sys.exit(main(sys.argv[1:]))"
    words = [
        "generate",
        "lif",
        "constant",
        "--set",
        "amplitude=1",
        "--device",
        "cuda",
        "--dir",
        "x",
    ]
    run = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "") and run.stdout.count("\n") == 1


def test_source_is_written_without_a_toolkit(tmp_path, monkeypatch):
    monkeypatch.setattr(cuda_toolkit, "find_toolkit", lambda: None)
    folder = generate_project(job_of("lif"), tmp_path / "project")
    assert (folder / "main.cu").is_file()
    shutil.rmtree(folder)
    with pytest.raises(DendrosimError, match="nvcc"):
        generate_project(job_of("lif"), folder, check=True)
    assert not folder.exists()
