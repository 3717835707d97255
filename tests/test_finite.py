"""What is no number is found in a compiled program, by its bits: where, and when first."""

import subprocess
from importlib.resources import files

import pytest

import dendrosim as ds
from dendrosim import cpp_target
from dendrosim.errors import DivergenceError
from dendrosim.model_table import model_from_table
from dendrosim.toolchain import compiler

PROGRAM = r"""
#include "finite.h"
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

template <typename T> int wrong()
{
    typedef std::numeric_limits<T> limits;
    const T fine[] = {0, -0.0, 1, -1, limits::max(), -limits::max(), limits::denorm_min()};
    const T bad[] = {limits::quiet_NaN(), -limits::quiet_NaN(), limits::infinity(),
                     -limits::infinity()};
    int errors = 0;
    for (const T x : fine) errors += !dendrosim::is_finite(x);
    for (const T x : bad) errors += dendrosim::is_finite(x);
    std::vector<T> many(1003, T(2));
    errors += dendrosim::first_not_finite(many.data(), 1003) != -1;
    for (const int at : {1002, 511, 3, 0})  // an earlier one each time
    {
        many[at] = bad[at % 4];
        errors += dendrosim::first_not_finite(many.data(), 1003) != at;
        errors += at && dendrosim::first_not_finite(many.data(), at) != -1;
    }
    return errors;
}

int main() { return wrong<double>() + wrong<float>(); }
"""


@pytest.mark.parametrize("more", [(), ("-fopenmp",), ("-ffinite-math-only",)])
def test_no_number_is_found_whatever_the_compiler_assumes(tmp_path, more):
    (tmp_path / "main.cpp").write_text(PROGRAM)
    flags = [*cpp_target.FLAGS, *more, f"-I{files('dendrosim')}/cpp"]
    subprocess.run([*compiler(), *flags, "-o", "main", "main.cpp"], cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "main"]).returncode == 0


def test_devices_name_the_same_neuron_and_time():
    """One neuron of 70 explodes, through exp, which must say so: to inf, then to NaN."""
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
        with pytest.raises(DivergenceError, match="v of neuron 66 is not finite") as error:
            ds.simulate(model, protocol, device=device, record=[], progress=False)
        said.append(str(error.value))
    assert said[0] == said[1]
