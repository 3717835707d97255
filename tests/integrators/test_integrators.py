"""The exponential methods: general laws, and comparison with an independent loop."""

from __future__ import annotations

from functools import partial

import brian2 as b2
import mpmath
import numpy as np
import pytest
from brian2.core.base import BrianObjectException
from brian2.core.functions import exprel
from brian2.equations.equations import Equations
from brian2.parsing.sympytools import sympy_to_str
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from reference import kepecs_wang, pinsky_rinzel, stepping
from runs import constants, same_units, states

import dendrosim as ds
import dendrosim.integrators
from dendrosim.integrators.slopes import EquationTrees, symbol
from dendrosim.integrators.slopes import partial as derivative
from dendrosim.model.dynamics import Dynamics
from dendrosim.model.expressions import parse_expression

EXPONENTIAL = ("rush_larsen", "rush_larsen2")
RATES = ("a_1", "a_2", "b_1", "b_2")
MODELS = ("kepecs_wang_2000", "pinsky_rinzel_1994")


@pytest.fixture(autouse=True)
def numpy_target(monkeypatch):
    """Laws of the methods, on groups of a user of Brian2: no compiler has a part in them."""
    monkeypatch.setitem(b2.prefs, "codegen.target", "numpy")


def advance(text, start, dt, steps, method="rush_larsen2", n=1):
    """Return the variables of a plain Brian2 group of n neurons after steps of dt seconds."""
    group = b2.NeuronGroup(n, text, method=method, dt=dt * b2.second)
    for name, value in start.items():
        setattr(group, name, value)
    net = b2.Network(group)
    net.run(steps * dt * b2.second)
    return np.array([np.asarray(getattr(group, name)) for name in start]).squeeze()


def order(text, start, exact, dt, method="rush_larsen2"):
    """Return the order of convergence of two runs to the same time, from the exact solution."""
    errors = [np.abs(advance(text, start, dt / k, 8 * k, method) - exact).max() for k in (1, 2)]
    assert errors[1] > 1e-12  # above rounding
    return np.log2(errors[0] / errors[1])


class TestOrder:
    """Third order in the effect of a variable on itself, second order in effects of others."""

    @pytest.mark.parametrize("text", ["exp(-v)", "s"])
    def test_alone(self, text):
        """dv/dt = exp(-v) has the solution v = log(1 + t)."""
        text = f"dv/dt = {text}/second : 1\ns = exp(-v) : 1"
        exact = np.log(1 + 8 * 0.1)
        assert order(text, {"v": 0}, exact, 0.1) == pytest.approx(3, abs=0.1)

    def test_of_order_1(self):
        text, exact = "dv/dt = s/second : 1\ns = exp(-v) : 1", np.log(1 + 8 * 0.02)
        assert order(text, {"v": 0}, exact, 0.02, "rush_larsen") == pytest.approx(1, abs=0.1)

    def test_coupled(self):
        """A rotation in the plane consists of coupling only."""
        text = "dx/dt = -4*y/second : 1\ndy/dt = 4*x/second : 1"
        exact = [np.cos(4 * 8 * 0.03), np.sin(4 * 8 * 0.03)]
        assert order(text, {"x": 1, "y": 0}, exact, 0.03) == pytest.approx(2, abs=0.1)

    def test_with_time_in_it(self):
        text = "dv/dt = (cos(5*t/second) - v)/second : 1"
        t = 8 * 0.05
        exact = (5 * np.sin(5 * t) + np.cos(5 * t) - np.exp(-t)) / 26
        assert order(text, {"v": 0}, exact, 0.05) == pytest.approx(2, abs=0.15)

    @pytest.mark.parametrize("method", EXPONENTIAL)
    def test_a_linear_equation_is_exact_for_any_step(self, method):
        text = "dv/dt = (2 - v)/(10*ms) : 1"
        found = advance(text, {"v": -1}, 0.035, 3, method)
        assert_allclose(found, 2 - 3 * np.exp(-10.5), rtol=1e-14)

    @pytest.mark.parametrize("method", EXPONENTIAL)
    def test_a_refractory_neuron_is_held(self, method):
        spikes = {}
        for one in (method, "exact"):
            group = b2.NeuronGroup(
                3, "dv/dt = (drive - v)/(10*ms) : 1 (unless refractory)\ndrive : 1",
                threshold="v > 1", reset="v = 0", refractory="5*ms", method=one,
            )  # fmt: skip
            group.drive = [0.5, 1.5, 3]
            monitor = b2.SpikeMonitor(group)
            b2.Network(group, monitor).run(100 * b2.ms)
            spikes[one] = [*monitor.count], np.array(group.v)
        assert spikes[method][0] == spikes["exact"][0] == [0, 6, 11]
        assert_allclose(spikes[method][1], spikes["exact"][1], rtol=1e-12)

    def test_what_has_no_slope_is_held(self):
        """For dv/dt = -|v|, a step of Ralston's method, to rounding."""
        dt = 0.1
        found = advance("dv/dt = -abs(v)/second : 1", {"v": 1.0}, dt, 1)
        stage = 1 - 2 / 3 * dt
        assert_allclose(found, 1 - dt * (0.25 + 0.75 * stage), rtol=1e-14)

    def test_order_1_refuses_what_it_cannot_hold(self):
        for bent in ("v**2", "int(v > 3)*v", "clip(v, 0, 1)"):
            with pytest.raises(BrianObjectException) as found:
                advance(f"dv/dt = {bent}/second : 1", {"v": 1.0}, 0.1, 1, "rush_larsen")
            assert "not affine in v" in str(found.value.__cause__)


class TestBounds:
    @pytest.mark.parametrize("method", EXPONENTIAL)
    def test_a_gate_stays_between_0_and_1_for_any_step(self, method):
        """The rates jump within the step from one pair to another; only rates times dt matter."""
        rng, n = np.random.default_rng(3), 10_000
        text = """
        dx/dt = (a*(1 - x) - b*x)/second : 1
        a = a_1 + (a_2 - a_1)*int(t > 0*second) : 1
        b = b_1 + (b_2 - b_1)*int(t > 0*second) : 1
        """ + "".join(f"{name} : 1 (constant)\n" for name in RATES)
        rates = {name: 10 ** rng.uniform(-6, 6, n) * (rng.random(n) > 0.1) for name in RATES}
        x = np.round(rng.uniform(-0.3, 1.3, n).clip(0, 1), 3)
        found = advance(text, {"x": x} | rates, 1.0, 1, method, n)[0]
        assert found.min() >= -1e-12 and found.max() <= 1 + 1e-12
        assert np.ptp(found) > 0.99

    @pytest.mark.parametrize("method", EXPONENTIAL)
    @pytest.mark.parametrize("dt", [0.1, 1.0])
    @pytest.mark.parametrize("name", MODELS)
    def test_long_steps_end_nowhere(self, name, dt, method):
        model = ds.load_model(name)
        currents = constants("100 ms", dendrite="[0, 0.5, 1, 2] uA/cm**2")
        r = states(model, currents, method=method, dt=f"{dt} ms", device="numpy")
        for state in model.states:
            values = r.traces[state].values
            assert np.isfinite(values).all(), state
            if r.traces[state].units == "1" and state != "Ca":
                assert values.min() >= -1e-12 and values.max() <= 1 + 1e-12, state
        assert len(r.spike_t) > 2


def trees_of(model):
    """Return the trees of a model's equations, with names as plain sympy symbols."""
    return EquationTrees(Equations("\n".join(e.text for e in model.equations)))


class TestSlopes:
    @pytest.mark.parametrize("name", MODELS)
    @settings(max_examples=30, deadline=None)
    @given(st.data())
    def test_they_are_the_diagonal_of_the_jacobian(self, name, data):
        """Comparison with dual numbers, which do not use sympy."""
        model = ds.load_model(name)
        dynamics, trees = Dynamics(model), trees_of(model)
        draw = st.floats(0.01, 0.99)
        place = {
            x: data.draw(st.floats(-0.09, 0.05)) if x.startswith("v_") else data.draw(draw)
            for x in model.states
        }
        jacobian, _ = dynamics.linearised(np.array([place[x] for x in model.states]), {})
        values = dynamics._constants | place | dict.fromkeys(model.inputs.values(), 0.0)
        for equation in model.subexpressions:
            values[equation.name] = equation.expression(values)
        for k, x in enumerate(model.states):
            slope = trees.whole_slope(x)
            known = dict(values)
            for target, tree in [*slope.chain.items(), ("slope", slope.total)]:
                known[target] = parse_expression(sympy_to_str(tree), "test")(known)
            # near 0, the series of exprel's slope is accurate to 3e-7 of a rate
            assert_allclose(known["slope"], jacobian[k, k], rtol=1e-5, atol=1e-3)

    def test_gates_are_affine_and_potentials_are_not(self):
        trees = trees_of(ds.load_model("kepecs_wang_2000"))
        assert {x: trees.whole_slope(x).constant for x in trees.rates} == {
            "v_s": False, "v_d": False, "h": True, "n": True, "q": True,
        }  # fmt: skip

    @given(st.floats(-30, 30) | st.floats(-0.03, 0.03) | st.just(0.0))
    def test_that_of_exprel_divides_by_0_nowhere(self, z):
        x = symbol("x")
        text = sympy_to_str(derivative(exprel(x), x))
        found = parse_expression(text, "test")({"x": np.float64(z)})
        with mpmath.workdps(500):
            exact = (
                (mpmath.exp(z) * (mpmath.mpf(z) - 1) + 1) / mpmath.mpf(z) ** 2
                if abs(z) > 1e-100
                else 0.5
            )
        assert_allclose(float(found), float(exact), rtol=1e-6)

    def test_a_slope_names_only_what_it_needs(self):
        trees = trees_of(ds.load_model("kepecs_wang_2000"))
        assert not trees.whole_slope("h").chain  # I_Na depends on h, but the rate of h does not
        assert "_d_m_inf_d_v_s" in trees.whole_slope("v_s").chain


class TestAgainstAnIndependentLoop:
    @pytest.mark.parametrize(
        ("oracle", "name", "affine", "dendrite"),
        [(kepecs_wang, "kepecs_wang_2000", (0, 0, 1, 1, 1), 3.0),
         (pinsky_rinzel, "pinsky_rinzel_1994", (0, 1, 1, 1, 1, 1, 1, 1), 5.0)],
    )  # fmt: skip
    def test_rush_larsen2(self, oracle, name, affine, dendrite):
        """During a spike; finite differences are accurate to about 1e-7."""
        model = ds.load_model(name)
        currents = constants("15 ms", dendrite=f"{dendrite} uA/cm**2")
        r = states(model, currents, method="rush_larsen2", dt="0.05 ms", device="numpy")
        f = partial(oracle.rhs, I_s=0.0, I_d=dendrite)
        y = same_units(r, oracle.STATES)[:, :, 0]
        expected = [y[0]]
        for k in range(len(y) - 1):
            expected.append(
                stepping.exponential_ralston_step(f, 0.05 * k, expected[-1], 0.05, affine)
            )
        assert np.ptp(y[:, 0]) > 60  # it spiked
        assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
