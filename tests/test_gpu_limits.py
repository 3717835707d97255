"""What `benchmarks/gpu.py` counts: operations and bytes by hand, and a GPU that is not there."""

import ctypes
import json
import sys

import numpy as np
import pytest
from places import ROOT

import dendrosim as ds
from dendrosim.simulation.run import make_job

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield
    for name in ("gpu", "limits", "common", "networks"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("statements", "number"),
    [
        ([("a", "b*c + d")], 2),
        ([("a", "b - (-c)")], 1),  # a sign is part of the difference
        ([("a", "b/c")], 16),
        ([("a", "b**3"), ("d", "b**4"), ("e", "b**1")], 2 + 2 + 0),
        ([("a", "exp(b)*2.0")], 31 + 1),
        ([("a", "b > c and not (d < 1)")], 2),
        ([("a", "int(b > c)")], 1),
        ([("a", "(b + c)*(b + c)")], 2),  # a sum that stands there twice
        ([("a", "b + c"), ("d", "(b + c)*a")], 2),
        ([("b", "b + c"), ("d", "(b + c)*a")], 3),  # b has changed in between
    ],
)
def test_operations_by_hand(statements, number):
    import limits

    assert limits.operations(statements, "float64") == number


def test_what_is_not_known_is_not_counted_as_nothing():
    import limits

    with pytest.raises(ValueError, match="cannot be counted"):
        limits.operations([("a", "[b]")], "float64")


class TestSteps:
    def parts(self, name, dtype="float64", **options):
        import limits

        model = ds.load_model(name)
        unit = " uA/cm**2" if model.kind == "continuous" else ""
        stimulus = ds.Stimulus(
            next(iter(model.inputs)), "constant", amplitude=f"linspace(0, 2, 10){unit}"
        )
        job = make_job(model, ds.Protocol("5 ms", [stimulus]), record=[], dtype=dtype, **options)
        return limits.parts(job)

    @pytest.mark.parametrize(("dtype", "size"), [("float64", 8), ("float32", 4)])
    def test_bytes_of_a_biophysical_neuron(self, dtype, size):
        """Five states in and out, an amplitude in, and one byte that holds the refractoriness."""
        import limits

        steps = self.parts("kepecs_wang_2000", dtype)
        assert limits.least(steps)[0] == 10 * (5 * 2 * size + size + 2)
        assert limits.moved(steps) > limits.least(steps)[0]

    def test_a_method_of_four_stages_computes_four_times_as_much(self):
        import limits

        counts = {
            method: limits.least(self.parts("kepecs_wang_2000", method=method))[1] / 10
            for method in ("euler", "rk2", "rk4")
        }
        assert 1.9 < counts["rk2"] / counts["euler"] < 2.2
        assert 3.8 < counts["rk4"] / counts["euler"] < 4.4

    def test_a_discrete_neuron_by_hand(self):
        """U = beta*U + I - V_th*S, S = int(U > V_th): both are carried, I is made and used up."""
        import limits

        size, work = limits.least(self.parts("lif"))
        assert size == 10 * 8 * (2 + 2 + 1)  # and the amplitude of each neuron
        text = 4 + 1  # two products, two sums, one comparison
        # the amplitude times its window, and the threshold of the monitor
        assert work == 10 * (text + 1 + 1)


def test_sums_of_a_network():
    import limits
    from networks import network

    net = network(1.0)
    weights = 64 + 64 * 64 + 64 * 256 + 2 * 256 * 256
    size, adds = limits.sums(net, [0.1, 0.2, 0.3], batch=7, dtype="float32")
    assert size == 4 * weights
    spikes = 0.1 * 64 * 64 + 0.1 * 64 * 256 + 0.2 * 256 * 256 + 0.2 * 256 * 256
    assert adds == pytest.approx(7 * (2 * 64 + spikes), abs=1)


class Driver:
    """The part of libcuda that is asked, with the answers of an H100."""

    attributes = {13: 1_980_000, 16: 132, 36: 2_619_000, 37: 5120, 38: 50 * 2**20, 75: 9, 76: 0}  # noqa: RUF012

    def __init__(self, count=1):
        self.count = count

    def cuInit(self, flags):
        return 0 if self.count else 100

    def cuDeviceGet(self, device, number):
        return 0

    def cuDeviceGetName(self, name, size, device):
        name.value = b"NVIDIA H100 80GB HBM3"

    def cuDeviceTotalMem_v2(self, size, device):
        ctypes.cast(size, ctypes.POINTER(ctypes.c_size_t))[0] = 80 * 2**30

    def cuDeviceGetAttribute(self, value, attribute, device):
        ctypes.cast(value, ctypes.POINTER(ctypes.c_int))[0] = self.attributes[attribute]


class TestGpu:
    def test_limits_are_those_of_the_data_sheet(self):
        import limits

        gpu = limits.find_gpu(Driver())
        assert gpu.bandwidth == pytest.approx(3.35e12, rel=0.01)
        assert gpu.peak["float32"] == pytest.approx(67e12, rel=0.01)
        assert gpu.peak["float64"] == pytest.approx(34e12, rel=0.02)
        assert gpu.seconds(3.35e9, 0, "float64") == pytest.approx(1e-3, rel=0.01)
        assert gpu.seconds(0, 67e9, "float32") == pytest.approx(1e-3, rel=0.01)
        assert gpu.seconds(40 * 2**20, 0, "float64") == 0  # it stays in the cache
        assert limits.find_gpu(Driver(0)) is None

    def test_results_are_kept_by_case(self, tmp_path):
        import gpu
        import limits

        card = limits.find_gpu(Driver())
        measured = {"cpp": 2.0, "cuda": 0.1}
        rows = [
            gpu.row("neurons", n, "float32", 100, measured, card, 90 * n, 2000 * n)
            for n in (10**5, 10**6)
        ]
        gpu.keep(card, rows, tmp_path)
        gpu.keep(card, [rows[1] | {"times_cpp": 30.0}], tmp_path)
        found = json.loads((tmp_path / "gpu_h100_80gb_hbm3.json").read_text())
        assert [(r["size"], r["times_cpp"]) for r in found["rows"]] == [(10**5, 20), (10**6, 30)]
        assert found["rows"][1]["of_limit"] == pytest.approx(
            100 * card.seconds(9e7, 2e9, "float32") / 0.1
        )
        assert found["gpu"]["name"] == "NVIDIA H100 80GB HBM3"
        table = gpu.text([r | {"spikes": [5, 5]} for r in rows])
        assert "100,000 neurons" in table and "equal" in table

    @pytest.mark.slow
    def test_a_measurement_compares_the_two(self, tmp_path, monkeypatch):
        """On a GPU that is C++ once more: every number of the rows but the seconds is exact."""
        import gpu
        import limits

        card, simulate, run_network = limits.find_gpu(Driver()), ds.simulate, ds.run_network

        def here(run):
            return lambda *args, **options: run(
                *args, **options | {"device": "numpy", "threads": 1}
            )

        monkeypatch.setattr(ds, "simulate", here(simulate))
        monkeypatch.setattr(ds, "run_network", here(run_network))
        monkeypatch.setattr(gpu, "steps_for", lambda n: 40)
        monkeypatch.setattr(gpu, "REPEAT", 1)
        images = gpu.images
        monkeypatch.setattr(gpu, "images", lambda batch: images(batch)[:, :12] + 2)
        found = gpu.neurons(20, "float64", card)
        assert found["within_a_step"] and found["spikes"][0] == found["spikes"][1]
        assert found["bytes_a_step"] == 20 * 90
        found = gpu.circuit(1, "float32", card)
        assert found["differing_bins"] == 0 and found["spikes"][0] == found["spikes"][1] > 0
        assert np.shape(found["rates"]) == (3,)

    def test_without_one_it_ends_in_a_sentence(self, monkeypatch, capsys):
        import gpu

        monkeypatch.setattr(gpu.limits, "find_gpu", lambda: None)
        monkeypatch.setattr(sys, "argv", ["gpu.py", "neurons"])
        assert gpu.main() == 2
        told = capsys.readouterr()
        assert told.out == "" and told.err.count("\n") == 1 and "NVIDIA GPU" in told.err
