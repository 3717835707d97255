"""Search for conductances with brian2modelfitting, from a description that sweeps.py writes.

python modelfitting_kw.py PROBLEM.json OUT.json cpp_standalone|runtime

The equations are the text of the model, read by Brian2 itself.  Printed are the processor's seconds
of all rounds after the first, which compiles.
"""

import json
import resource
import sys
from pathlib import Path

import brian2 as b2
import numpy as np
from brian2.units.fundamentalunits import get_or_create_dimension
from brian2modelfitting import MSEMetric, NevergradOptimizer, TraceFitter


def seconds() -> float:
    """Return the processor's seconds of this process and of those that it started."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(resource.getrusage(w).ru_utime + resource.getrusage(w).ru_stime for w in who)


problem = json.loads(Path(sys.argv[1]).read_text())
if sys.argv[3] == "cpp_standalone":
    b2.set_device("cpp_standalone", directory=problem["folder"], clean=False)
units = {name: b2.Quantity(1, dim=get_or_create_dimension(dims), force_quantity=True)
         for name, dims in problem["dimensions"].items()}  # fmt: skip
given = {name: value * units[name] for name, value in problem["parameters"].items()}
fitter = TraceFitter(
    model=b2.Equations(problem["equations"], **given), input_var="I_d", output_var="v_s",
    input=np.array([problem["current"]]) * b2.amp / b2.meter**2,
    output=np.array([problem["target"]]) * b2.volt, dt=problem["dt"] * b2.second,
    n_samples=problem["population"], method="rk4", threshold=problem["threshold"],
    refractory=problem["threshold"], reset="",
    param_init={name: value * units[name] for name, value in problem["initial"].items()},
)  # fmt: skip
ranges = {name: [low, high] * units[name] for name, (low, high) in problem["ranges"].items()}
how = {"optimizer": NevergradOptimizer("CMA"), "metric": MSEMetric(), "callback": None, **ranges}
fitter.fit(n_rounds=1, **how)
began = seconds()
fitter.fit(n_rounds=problem["rounds"], **how)
used = seconds() - began
found = {name: float(value) for name, value in fitter.best_params.items()}
evaluations = problem["rounds"] * problem["population"]
result = {"evaluations": evaluations, "processor_seconds": used, "found": found,
          "per_processor_second": evaluations / used}  # fmt: skip
Path(sys.argv[2]).write_text(json.dumps(result))
