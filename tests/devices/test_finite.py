"""What has diverged is found on each device, in a compiled program by its bits: where, and when."""

import subprocess
from importlib.resources import files

import pytest

import dendrosim as ds
from dendrosim.devices import cpp
from dendrosim.devices.compiler import compiler
from dendrosim.errors import DivergenceError
from dendrosim.model.toml import model_from_table

PROGRAM = r"""
#include "finite.h"
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

template <typename T> int wrong()
{
    typedef std::numeric_limits<T> limits;
    const double limit = 10, none = HUGE_VAL;
    const T fine[] = {0, -0.0, 1, -1, limits::denorm_min(), 10, -10};
    const T large[] = {limits::max(), -limits::max(), std::nextafter(T(10), T(11)), -11};
    const T bad[] = {limits::quiet_NaN(), -limits::quiet_NaN(), limits::infinity(),
                     -limits::infinity()};
    int errors = 0;
    for (const T& x : fine) errors += dendrosim::first_beyond(&x, 1, limit) != -1;
    for (const T& x : large) errors += dendrosim::first_beyond(&x, 1, limit) != 0;
    for (const T& x : large) errors += dendrosim::first_beyond(&x, 1, none) != -1;
    for (const T& x : bad) errors += dendrosim::first_beyond(&x, 1, limit) != 0;
    for (const T& x : bad) errors += dendrosim::first_beyond(&x, 1, none) != 0;
    std::vector<T> many(1003, T(2));
    errors += dendrosim::first_beyond(many.data(), 1003, limit) != -1;
    for (const int at : {1002, 511, 3, 0})  // an earlier one each time
    {
        many[at] = bad[at % 4];
        errors += dendrosim::first_beyond(many.data(), 1003, limit) != at;
        errors += at && dendrosim::first_beyond(many.data(), at, limit) != -1;
    }
    return errors;
}

int main() { return wrong<double>() + wrong<float>(); }
"""


@pytest.mark.parametrize("more", [(), ("-fopenmp",), ("-ffinite-math-only",)])
def test_no_number_is_found_whatever_the_compiler_assumes(tmp_path, more):
    (tmp_path / "main.cpp").write_text(PROGRAM)
    flags = [*cpp.FLAGS, *more, f"-I{files('dendrosim.devices')}/cpp_sources"]
    subprocess.run([*compiler(), *flags, "-o", "main", "main.cpp"], cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "main"]).returncode == 0


def test_devices_name_the_same_neuron_and_time():
    """One neuron of 70 explodes, through exp."""
    table = {
        "title": "Runaway", "kind": "continuous", "inputs": {"soma": "I"},
        "potentials": {"soma": "v"}, "dt": "1 ms", "method": "euler",
        "equations": "dv/dt = slope*exp(v/volt)/(1*ms) + 0*I*volt/ms : volt\nI : 1",
        "parameters": {"slope": {"value": "1 V", "doc": "x"}}, "initial": {"v": "0 V"},
    }  # fmt: skip
    slopes = [0.0] * 70
    slopes[66] = 1.0
    model = model_from_table(table, "runaway", "runaway").with_(parameters={"slope": f"{slopes} V"})
    protocol = ds.Protocol(
        duration="900 ms", stimuli=[ds.Stimulus("soma", "constant", amplitude="0")]
    )
    said = []
    for device in ("numpy", "cpp"):
        with pytest.raises(DivergenceError, match="v of neuron 66 is not finite at") as error:
            ds.simulate(model, protocol, device=device, record=[], progress=False)
        said.append(str(error.value))
    assert said[0] == said[1]


def drifting(unit, potentials, slope):
    """Return a model whose one state grows by `slope` in each ms."""
    table = {
        "title": "Drift", "kind": "continuous", "inputs": {"soma": "I"}, "potentials": potentials,
        "dt": "1 ms", "method": "euler",
        "equations": f"dx/dt = slope/ms + 0*I*slope/ms : {unit}\nI : 1",
        "parameters": {"slope": {"value": slope, "doc": "x"}}, "initial": {"x": f"0 {unit}"},
    }  # fmt: skip
    return model_from_table(table, "drift", "drift")


REST = ds.Protocol(duration="20 ms", stimuli=[ds.Stimulus("soma", "constant", amplitude="0")])


@pytest.mark.parametrize("device", ["numpy", "cpp"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_potential_beyond_10_volt_has_diverged(device, dtype):
    model = drifting("volt", {"soma": "x"}, "-1 V")
    with pytest.raises(DivergenceError, match=r"x of neuron 0 is beyond 10 V at t = 11 ms"):
        ds.simulate(model, REST, device=device, dtype=dtype, record=[], progress=False)
    short = REST.with_(duration="10 ms")
    ds.simulate(model, short, device=device, dtype=dtype, record=[], progress=False)


@pytest.mark.parametrize("device", ["numpy", "cpp"])
def test_another_state_may_be_large_but_not_beyond_1e50(device):
    """A count, or a voltage that is no potential of the model."""
    for unit, slope in (("1", "1e49"), ("volt", "4.9e48 V")):
        model = drifting(unit, {}, slope)
        ds.simulate(model, REST.with_(duration="10 ms"), device=device, record=[], progress=False)
    with pytest.raises(DivergenceError, match=r"x of neuron 0 is beyond 1e\+50 in SI units at"):
        ds.simulate(drifting("1", {}, "2e49"), REST, device=device, record=[], progress=False)


def test_a_discrete_potential_has_no_volt():
    model = ds.load_model("lif").with_(parameters={"beta": "1", "V_th": "1e40"})
    ds.simulate(model, REST.with_(amplitude="1e9"), device="numpy", record=[], progress=False)
