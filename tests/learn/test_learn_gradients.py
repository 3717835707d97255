"""Laws of the Jacobians derived from the text, and their results for the theory of both papers.

Every matrix of the papers is written here by hand; the package derives its own from the models.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import dendrosim as ds
from dendrosim import shelves
from dendrosim.errors import DendrosimError
from dendrosim.learn import DiscreteStep
from dendrosim.learn.gradients import propagation as pr
from dendrosim.learn.gradients.linearised import Linearised
from dendrosim.learn.gradients.maps import parameter_map
from dendrosim.learn.gradients.trajectories import follow

torch.set_num_threads(1)  # the tensors are small

negative = st.floats(-0.999, -0.001)
positive = st.floats(0.001, 0.999)
potential = st.floats(-0.5, 2.5)
weight = st.floats(-2, 2)
SLOPES = {
    "boxcar": lambda x: float(abs(x) <= 0.5),
    "triangle": lambda x: max(0.0, 1 - abs(x)),
}
PURE = {"alpha_1": 1.0, "alpha_2": 1.0}  # eqs 9-10 from eqs 6-7
CIRCUIT = ("U_M", "U_C")
DISCRETE = [n for n in shelves.names("models") if ds.load_model(n).kind == "discrete"]


def true_jacobian(b1, b2):
    """REFERENCE 3b, for (U_D, U_S)."""
    return np.array([[1, b1], [b2, 1 + b1 * b2]])


def eq_13(b1, b2):
    return np.array([[b1 * b2 + 1, b1], [b1 * b2**2 + 2 * b2, b1 * b2 + 1]])


def eq_14(b1, b2):
    return max(b1 * b2**2 + b1 * b2 + 2 * b2 + 1, b1 * b2 + b1 + 1)


class TestLstmLif:
    """Eqs 9-15 of seed 000."""

    @given(st.floats(-3, 3), st.floats(-3, 3))
    def test_the_matrices_of_the_text(self, b1, b2):
        step = Linearised("two_compartment")
        values = {**PURE, "beta_1": b1, "beta_2": b2}
        np.testing.assert_allclose(step.jacobian(values=values), true_jacobian(b1, b2), atol=1e-12)
        np.testing.assert_allclose(step.total(values=values), eq_13(b1, b2), atol=1e-12)

    @given(st.floats(-3, 3), st.floats(-3, 3))
    def test_its_determinant_is_1_and_its_eigenvalues_are_on_the_circle(self, b1, b2):
        found = Linearised("two_compartment").jacobian(values={**PURE, "beta_1": b1, "beta_2": b2})
        assert np.linalg.det(found) == pytest.approx(1, abs=1e-9)
        assert np.trace(found) == pytest.approx(2 + b1 * b2)
        assume(min(abs(b1 * b2), abs(b1 * b2 + 4)) > 1e-3)  # at the ends the eigenvalues coincide
        moduli = np.abs(np.linalg.eigvals(found))
        if -4 < b1 * b2 < 0:
            np.testing.assert_allclose(moduli, 1, atol=1e-9)
            angle = np.abs(np.angle(np.linalg.eigvals(found)))
            np.testing.assert_allclose(np.cos(angle), 1 + b1 * b2 / 2, atol=1e-9)
        else:
            assert moduli.max() > 1.0001

    @given(st.floats(-6, 6), st.floats(-6, 6))
    def test_whatever_is_learned_lstm_lif_is_a_rotation(self, c_1, c_2):
        model = ds.load_model("lstm_lif").with_(parameters={"c_1": c_1, "c_2": c_2})
        moduli = np.abs(np.linalg.eigvals(Linearised(model).jacobian()))
        np.testing.assert_allclose(moduli, 1, atol=1e-6)

    def test_the_period_of_the_rotation(self):
        angle = np.angle(np.linalg.eigvals(Linearised("lstm_lif").jacobian())).max()
        assert 2 * np.pi / angle == pytest.approx(12.4, abs=0.05)

    @given(negative, positive)
    def test_eq_13_is_neither_the_jacobian_nor_its_square(self, b1, b2):
        assume(min(abs(b1), abs(b2)) > 0.01)
        step = Linearised("two_compartment")
        values = {**PURE, "beta_1": b1, "beta_2": b2}
        one, printed = step.jacobian(values=values), step.total(values=values)
        assert np.linalg.det(printed) == pytest.approx(1, abs=1e-9)
        assert np.trace(printed) == pytest.approx(2 + 2 * b1 * b2)
        assert np.abs(printed - one).max() > 1e-3
        square = one @ one
        np.testing.assert_allclose(printed[:, 0], square[:, 0], atol=1e-12)
        np.testing.assert_allclose(square[0, 1], 2 * b1 + b1**2 * b2, atol=1e-12)
        assert np.abs(printed - square).max() > 1e-3

    def test_eq_13_multiplied_is_not_the_gradient(self):
        """Over many steps, autograd through the text agrees with the Jacobian."""
        step = Linearised("lstm_lif")
        far, matrices = 7, [step.jacobian(), step.total()]
        exact = long_way(ds.load_model("lstm_lif"), step.variables, far)
        one, printed = (np.linalg.matrix_power(m, far) for m in matrices)
        np.testing.assert_allclose(one, exact, atol=1e-12)
        assert np.abs(printed - exact).max() > 0.1

    @given(negative, positive)
    def test_eq_14(self, b1, b2):
        total = Linearised("two_compartment").total(values={**PURE, "beta_1": b1, "beta_2": b2})
        assert pr.column_norm(total, absolute=False) == pytest.approx(eq_14(b1, b2))
        assert eq_14(b1, b2) > 1
        # without signs another column may be the maximum: the printed maximum is not a norm
        assert pr.column_norm(total) >= pr.column_norm(total, absolute=False) - 1e-12

    def test_the_norms_of_the_aaai_supplement(self):
        step = Linearised("two_compartment")
        for b1, b2, printed in ((-0.2, 0.2, 1.352), (-0.8, 0.4, 1.352), (-0.2, 0.8, 2.312)):
            total = step.total(values={**PURE, "beta_1": b1, "beta_2": b2})
            assert pr.column_norm(total, absolute=False) == pytest.approx(printed, abs=1e-12)

    def test_a_norm_above_1_does_not_keep_a_product_from_vanishing(self):
        leaky = Linearised("two_compartment")
        values = {"alpha_1": 0.9, "alpha_2": 0.9, "beta_1": -0.5, "beta_2": 0.5}
        one = leaky.jacobian(values=values)
        assert pr.column_norm(leaky.total(values=values), absolute=False) > 1
        assert np.abs(np.linalg.matrix_power(one, 400)).max() < 1e-6

    @given(potential, negative, positive, st.floats(0, 1), st.floats(0.5, 2))
    def test_what_the_reset_changes(self, u_s, b1, b2, gamma, v_th):
        """det J = 1 - V_th times the slope of the spike: at threshold the memory is lost."""
        values = {"beta_1": b1, "beta_2": b2, "gamma": gamma, "V_th": v_th}
        found = Linearised("lstm_lif").jacobian({"U_S": u_s}, values=values)
        slope = SLOPES["triangle"](u_s - v_th)
        reset = slope * np.array([[0, gamma], [0, b2 * gamma + v_th]])
        np.testing.assert_allclose(found, true_jacobian(b1, b2) - reset, atol=1e-12)
        assert np.linalg.det(found) == pytest.approx(1 - v_th * slope, abs=1e-9)
        cut = Linearised("lstm_lif", detach_reset=True).jacobian({"U_S": u_s}, values=values)
        np.testing.assert_allclose(cut, true_jacobian(b1, b2), atol=1e-12)

    @given(st.lists(st.floats(-2, 3), min_size=3, max_size=20), negative, positive)
    def test_eq_15_is_eqs_9_and_10(self, currents, b1, b2):
        step = DiscreteStep(ds.load_model("lstm_lif"))
        values = {"beta_1": b1, "beta_2": b2, "gamma": 0.4, "V_th": 1.0}
        state = {name: torch.zeros(1, dtype=torch.float64) for name in ("U_D", "U_S", "S")}
        for current in currents:
            after = step(state, {"I": torch.tensor([current], dtype=torch.float64)}, values)
            u_d, u_s, s = (state[name].item() for name in ("U_D", "U_S", "S"))
            expected = (1 + b1 * b2) * u_s + b2 * u_d + b2 * current - (b2 * 0.4 + 1.0) * s
            assert after["U_S"].item() == pytest.approx(expected, abs=1e-9)
            state = after

    def test_map(self):
        grid = np.linspace(-1, 1, 5)
        found = parameter_map("two_compartment", ("beta_1", grid), ("beta_2", grid), PURE)
        expected = [[eq_14(b1, b2) for b1 in grid] for b2 in grid]
        np.testing.assert_allclose(found.printed_norm, expected, atol=1e-12)
        assert found.spectral_radius[3, 1] == pytest.approx(1)  # (-0.5, 0.5)
        assert found.spectral_radius[3, 3] > 1.5  # (0.5, 0.5)
        assert np.all(found.norm >= found.printed_norm - 1e-12)
        with pytest.raises(DendrosimError, match="two_compartment has no 'beta'; did you mean"):
            parameter_map("two_compartment", ("beta", grid), ("beta_2", grid))


def long_way(model, variables, steps):
    """Differentiate many steps at once, from rest and without input."""
    step, values = DiscreteStep(model), {n: float(v) for n, v in model.values().items()}
    zero = torch.zeros(1, dtype=torch.float64)
    start = {v: zero.clone().requires_grad_() for v in variables}
    state = {**dict.fromkeys(model.states, zero), **start}
    for _ in range(steps):
        state = step(state, dict.fromkeys(model.inputs.values(), zero), values)
    rows = [
        torch.autograd.grad(state[v], list(start.values()), retain_graph=True, allow_unused=True)
        for v in variables
    ]
    return np.array([[0.0 if g is None else g.item() for g in row] for row in rows])


class TestLrmm:
    """Eqs 10-21 and A.6 of seed 002."""

    @given(
        st.lists(potential, min_size=4, max_size=4), weight, weight, st.floats(0.5, 1),
        st.floats(0.5, 1), st.sampled_from(list(SLOPES)), st.floats(-1, 1),
    )  # fmt: skip
    def test_the_temporal_operator_and_the_gains(self, u, w_cm, w_mc, a_m, a_c, name, drive):
        slope = SLOPES[name]
        values = {"w_CM": w_cm, "w_MC": w_mc, "alpha_M": a_m, "alpha_C": a_c}
        step = Linearised("lrmm", name, 1.0)
        before = {"U_I": 0.2, "U_M": u[0], "U_C": u[1], "S_M": u[0] > 1, "S_C": u[1] > 1}
        inputs = [{"I": drive, "F": -drive, "O": 0.0}, {"I": 0.3, "F": drive, "O": 1.0}]
        at_t, at_next = states_of("lrmm", before, inputs, values)

        def gain(state, x, alpha):
            return alpha * (1 - slope(state[f"U_{x}"] - 1))

        beta = slope(at_t["U_C"] - 1) * w_cm
        gamma = slope(at_t["U_M"] - 1) * w_mc
        later = slope(at_next["U_M"] - 1) * w_mc
        am, ac = gain(at_t, "M", a_m), gain(at_t, "C", a_c)
        m_t = np.array([[am + gamma * beta, gamma * ac], [beta, ac]])  # A.6
        i = [step.variables.index(v) for v in CIRCUIT]
        found = step.by_assignment(before, inputs, values)[np.ix_(i, i)]
        np.testing.assert_allclose(found.T, m_t, atol=1e-12)
        assert found[0, 0] == pytest.approx(am + gamma * beta, abs=1e-12)  # eq. 21
        now = {name: at_t[name] for name in step.variables}
        one = step.jacobian(now, inputs[1], values)[np.ix_(i, i)]
        assert one[1, 1] == pytest.approx(ac + beta * later, abs=1e-12)  # eq. 20
        np.testing.assert_allclose(one, [[am, beta], [later * am, ac + later * beta]], atol=1e-12)
        apart = step.by_assignment(
            before, inputs, {**values, "w_CM": 0, "w_MC": 0}, at=(at_t, at_next)
        )
        np.testing.assert_allclose(apart[np.ix_(i, i)], np.diag([am, ac]), atol=1e-12)  # D_t

    @given(potential)
    def test_with_the_boxcar_a_gain_is_the_leak_or_nothing(self, u):
        """Eq. 12."""
        found = Linearised("lrmm", "boxcar", 1.0).jacobian({"U_I": u})[0, 0]
        assert found == (0.0 if abs(u - 1) <= 0.5 else 0.95)

    def test_the_operator_may_be_multiplied(self, lrmm):
        """Products of M_t equal those of the Jacobian at other positions: BPTT, eqs 14-16."""
        run, _ = lrmm
        one, two = run.matrices(), run.matrices("by_assignment")
        # effect of a change at an assignment on the end of its step
        step = Linearised("lrmm")
        spread = np.broadcast_to(np.eye(4), one.shape).copy()
        order = [step.variables.index(v) for v in ("U_I", "U_M", "U_C", "U_O")]
        assert order == [0, 1, 2, 3]
        slope = np.vectorize(SLOPES["triangle"])
        fire = {v: slope(run.states[v] - 1)[:, :-1] for v in step.variables}
        spread[..., 2, 0] = fire["U_I"] * run.layer.values()["w_IC"]
        spread[..., 2, 1] = fire["U_M"] * run.layer.values()["w_MC"]
        for column in (0, 1):
            spread[..., 3, column] = (
                spread[..., 2, column] * fire["U_C"] * run.layer.values()["w_CO"]
            )
        spread[..., 3, 2] = fire["U_C"] * run.layer.values()["w_CO"]
        np.testing.assert_allclose(
            one[:, :-1] @ spread[:, :-1], spread[:, 1:] @ two[:, :-1], atol=1e-10
        )

    def test_the_relative_factor_of_neurons_apart_is_1(self, lrmm):
        run, _ = lrmm
        apart = run.matrices("by_assignment", variables=CIRCUIT, parameters={"w_CM": 0, "w_MC": 0})
        np.testing.assert_allclose(pr.relative_retention(apart, apart, [1, 5]), 1)
        loop = run.matrices("by_assignment", variables=CIRCUIT)
        assert pr.relative_retention(loop, apart, [5])[0] > 1


def states_of(name, before, inputs, values):
    """Run two steps of a model and return the state after each."""
    model = ds.load_model(name)
    numbers = {n: float(v) for n, v in model.values().items()} | values
    state = {n: torch.tensor([float(before.get(n, 0))], dtype=torch.float64) for n in model.states}
    found = []
    for ports in inputs:
        ports = {n: torch.tensor([float(v)], dtype=torch.float64) for n, v in ports.items()}
        state = DiscreteStep(model)(state, ports, numbers)
        found.append({n: v.item() for n, v in state.items()})
    return found


@pytest.fixture(scope="module")
def lrmm():
    """A recurrent LRMM layer with spikes, and its trajectory."""
    parameters = {"w_CM": -0.8, "w_MC": 1.4, "w_F": 0.7, "w_O": 0.4, "w_I": 0.9}
    layer = ds.Layer("lrmm", 3, 5, True, parameters=parameters)
    network = ds.Network.random([layer], n_out=2, seed=5)
    x = np.random.default_rng(1).normal(size=(2, 14, 3)) * 2
    (run,), output = follow(network, x)
    assert 0.2 < output.spikes[0].mean() < 0.9
    return run, output


@pytest.mark.parametrize("name", DISCRETE)
class TestEveryModel:
    def test_the_jacobian_is_the_change_of_the_next_state(self, name):
        """Along a run: autograd through the steps themselves, for a horizon of three."""
        run = followed(name)
        step = Linearised(run.layer.model)
        assert 1 <= len(step.variables) <= len(run.layer.model.carried)
        found = pr.products(run.matrices(), [3])[3][0, 2]  # from step 2 to step 5
        model, values = run.layer.model, {k: torch.tensor(v) for k, v in run.layer.values().items()}
        one = DiscreteStep(model)

        def at(t):
            return {n: torch.tensor(v[0, t]) for n, v in run.currents.items()}

        start = {v: torch.tensor(run.states[v][0, 2]).requires_grad_() for v in step.variables}
        state = {n: torch.tensor(v[0, 2]) for n, v in run.states.items()} | start
        names = values | state
        step._run(names, step._following)
        state = {n: names[n] for n in model.states}
        for t in (3, 4, 5):
            state = one(state, at(t), values)
        for n in model.states:  # the state variables are sufficient to continue
            np.testing.assert_allclose(state[n].detach(), run.states[n][0, 5], atol=1e-9)
        for i, v in enumerate(step.variables):
            rows = torch.autograd.grad(
                state[v].sum(), list(start.values()), retain_graph=True, materialize_grads=True
            )
            for j, row in enumerate(rows):
                np.testing.assert_allclose(found[:, i, j], row, atol=1e-9)


def followed(name):
    layer = ds.Layer(name, 2, 3, ds.load_model(name).recurrent)
    network = ds.Network.random([layer], seed=2)
    x = np.random.default_rng(3).normal(size=(1, 8, 2)) * 4
    (run,), _ = follow(network, x)
    return run


class TestRuns:
    def test_the_layer_with_its_weights(self, lrmm):
        """The Jacobian of a whole layer, compared with autograd through its step."""
        run, _ = lrmm
        layer, t = run.layer, 6
        step, linear = DiscreteStep(layer.model), Linearised(layer.model)
        values = {k: torch.tensor(v) for k, v in layer.values().items()}
        recurrent = {p: torch.tensor(w) for p, w in layer.recurrent_weights.items()}
        outside = {
            p: torch.tensor(run.currents[p][0, t + 1])
            - recurrent[p] @ torch.tensor(run.states["S_O"][0, t])
            for p in layer.model.ports
        }
        start = torch.tensor(np.stack([run.states[v][0, t] for v in linear.variables], -1))

        def whole(flat):
            state = dict(zip(linear.variables, flat.reshape(5, 4).unbind(-1), strict=True))
            names = values | state
            linear._run(names, linear._following)
            ports = {p: outside[p] + recurrent[p] @ names["S_O"] for p in outside}
            after = step(names, ports, values)
            return torch.stack([after[v] for v in linear.variables], -1).reshape(-1)

        expected = torch.autograd.functional.jacobian(whole, start.reshape(-1))
        np.testing.assert_allclose(run.recurrent(0, t), expected, atol=1e-12)
        blocks = np.einsum("iaib->iab", run.recurrent(0, t).reshape(5, 4, 5, 4))
        assert np.abs(blocks - run.matrices()[0, t]).max() > 1e-3  # the weights have an effect

    def test_the_first_matrix_knows_the_initial_state(self, lrmm):
        run, _ = lrmm
        start = {name: 0.0 for name in run.layer.model.carried}
        inputs = [{n: v[:, t] for n, v in run.currents.items()} for t in (0, 1)]
        expected = Linearised("lrmm").by_assignment(start, inputs, run.layer.values())
        np.testing.assert_allclose(run.matrices("by_assignment")[:, 0], expected)

    def test_refusals(self, lrmm):
        run, _ = lrmm
        network = ds.Network.random([ds.Layer("lif", 2, 3)])
        (short,), _ = follow(network, np.zeros((1, 1, 2)))
        for call, said in (
            (lambda: run.matrices("jacobi"), "view = 'jacobi'; did you mean 'jacobian'?"),
            (lambda: run.matrices(variables=("U_m",)), "variables: 'U_m' is not a state variable"),
            (lambda: run.matrices(parameters={"w": 0}), "parameters: lrmm has no 'w'; valid"),
            (lambda: short.matrices(), "a run of a single step"),
            (lambda: Linearised("lif").jacobian({"V": 0}), "state: lif has no 'V'; valid: S, U"),
            (lambda: Linearised("lif").jacobian(inputs={"J": 0}), "inputs[0]: lif has no 'J'"),
            (lambda: Linearised("lif").jacobian(values={"b": 0}), "values: lif has no 'b'"),
            (lambda: Linearised("lif").total(inputs=[{}]), "inputs of 1 steps are given"),
            (lambda: Linearised("kepecs_wang_2000"), "is continuous"),
            (lambda: Linearised("lif", "box"), "unknown surrogate 'box'"),
        ):
            with pytest.raises(DendrosimError, match=re.escape(said)):
                call()


matrices = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).normal(size=(2, 9, 3, 2, 2))
)


class TestPropagation:
    @given(matrices, st.integers(1, 9))
    def test_products_in_the_order_of_the_chain_rule(self, m, horizon):
        found = pr.products(m, [horizon])[horizon]
        assert found.shape == (2, 10 - horizon, 3, 2, 2)
        for t in range(10 - horizon):
            expected = np.eye(2)
            for k in range(horizon):
                expected = m[1, t + k, 2] @ expected
            np.testing.assert_allclose(found[1, t, 2], expected, atol=1e-9)

    @settings(max_examples=25)
    @given(matrices)
    def test_norms(self, m):
        factors = pr.retention_factors(m, [1, 4])
        one = np.linalg.svd(m[0, 0, 0], compute_uv=False)[0]
        assert factors[1][0, 0, 0] == pytest.approx(one)
        assert pr.spectral_radius(m)[0, 0, 0] <= one + 1e-12
        np.testing.assert_allclose(
            pr.absolute_retention(m, [4, 1]), [np.median(factors[4]), np.median(factors[1])]
        )
        # a norm of a product is at most the product of the norms
        norms = np.linalg.norm(m, 2, axis=(-2, -1))
        bound = norms[:, :6] * norms[:, 1:7] * norms[:, 2:8] * norms[:, 3:9]
        assert np.all(factors[4] <= bound * (1 + 1e-12))
        assert np.all(pr.column_norm(m) == np.linalg.norm(m, 1, axis=(-2, -1)))

    def test_ratios_that_do_not_exist(self):
        none, some = np.zeros((1, 3, 1, 2, 2)), np.broadcast_to(np.eye(2), (1, 3, 1, 2, 2))
        assert np.isnan(pr.relative_retention(none, none, [2])).all()
        assert np.isinf(pr.relative_retention(some, none, [2])).all()
        mixed = none.copy()
        mixed[:, 0] = np.eye(2)
        assert pr.relative_retention(none, mixed, [1]).tolist() == [0.0]

    @given(st.floats(0.01, 100), st.integers(1, 50))
    def test_geometric_gain(self, factor, horizon):
        assert pr.geometric_gain(factor, horizon) ** horizon == pytest.approx(factor)

    @pytest.mark.parametrize("horizon", [0, 10, 1.5, True])
    def test_refusals(self, horizon):
        with pytest.raises(DendrosimError, match="is not a whole number of steps from 1 to 9"):
            pr.products(np.zeros((1, 9, 1, 1, 1)), [horizon])
