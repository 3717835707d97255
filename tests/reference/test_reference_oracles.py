"""The oracles reproduce the numbers of REFERENCE.md and the identities of the papers."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

from . import discrete, make_golden, stepping
from . import kepecs_wang as kw
from . import pinsky_rinzel as pr

HERE = Path(__file__).parent


def test_the_oracles_import_only_numpy_and_scipy():
    allowed = {"numpy", "scipy", "math", "functools", "typing", "json", "pathlib", "ast", "pytest",
               "__future__"}  # fmt: skip
    for path in HERE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= allowed, path
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                assert node.module.split(".")[0] in allowed, path


# --- stepping -------------------------------------------------------------------------------


@pytest.mark.parametrize("ops", [stepping.FloatOps, stepping.ArrayOps])
def test_linoid_is_continuous_through_its_singularity(ops):
    x = [-1e-3, -6e-5, -4e-5, -1e-12, 0.0, 1e-12, 4e-5, 6e-5, 1e-3]
    exact = [5 - v / 2 + v * v / 60 for v in x]  # Taylor series of x / (exp(x / 5) - 1)
    values = ops.linoid(np.array(x), 5.0) if ops is stepping.ArrayOps else None
    if values is None:
        values = [ops.linoid(v, 5.0) for v in x]
    np.testing.assert_allclose(values, exact, rtol=1e-14)
    assert ops.linoid(np.float64(30.0), 5.0) == pytest.approx(30 / (np.exp(6.0) - 1), rel=1e-14)


def test_summarise_groups_spikes_into_bursts():
    b = stepping.summarise([5, 100, 103, 106, 200, 203, 206, 207, 300], gap=10, after=50)
    assert b.onsets.tolist() == [100, 200, 300]
    assert b.spikes.tolist() == [3, 4, 1]
    assert (b.period, b.spikes_per_burst, b.min_isi) == (100, 3.5, 1)
    assert np.isnan(stepping.summarise([]).period)


@pytest.mark.parametrize("step, order", [(stepping.euler_step, 1), (stepping.rk4_step, 4)])
def test_fixed_steps_have_their_order(step, order):
    def error(dt):
        run = stepping.march(step, lambda t, y: (y[1], -y[0]), (0.0, 1.0), 1.0, dt, 9.0, 1)
        return abs(run.y[-1, 0] - np.sin(1.0))

    assert np.log2(error(0.05) / error(0.025)) == pytest.approx(order, abs=0.1)


# --- both biophysical models ----------------------------------------------------------------


def random_states(model, n=50):
    """Return plausible states, shape (n_states, n)."""
    rng = np.random.default_rng(0)
    y = rng.random((len(model.STATES), n))
    y[:2] = rng.uniform(-90, 50, (2, n))
    if model is pr:
        y[7] *= 400
    return y


@pytest.mark.parametrize("model", [pr, kw])
def test_rhs_is_the_same_for_floats_and_arrays(model):
    y = random_states(model)
    together = model.rhs(0.0, y, 0.5, 1.0)
    for k in range(y.shape[1]):
        np.testing.assert_allclose(together[:, k], model.rhs(0.0, y[:, k], 0.5, 1.0), rtol=1e-12)


@pytest.mark.parametrize("model", [pr, kw])
def test_rhs_is_finite_at_the_removable_singularities(model):
    for v in (-46.9, -19.9, -24.9, -8.9, -31.0, -34.0):
        y = random_states(model, 3)
        y[:2] = v + np.array([-1e-7, 0.0, 1e-7])
        y[2:] = y[2:, :1]
        left, middle, right = model.rhs(0.0, y, 0.0, 0.0).T
        np.testing.assert_allclose(middle, (left + right) / 2, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("model", [pr, kw])
def test_coupling_conserves_charge(model):
    y = random_states(model)
    with_link = model.rhs(0.0, y, 0.0, 0.0)
    without = model.rhs(0.0, y, 0.0, 0.0, model.parameters(g_c=0.0))
    p = model.PARAMETERS["p"]
    flow = p * (with_link - without)[0] + (1 - p) * (with_link - without)[1]
    np.testing.assert_allclose(flow, 0.0, atol=1e-9)


def test_vectorised_neurons_spike_as_single_ones():
    together = pr.euler(pr.broadcast(pr.ZERO_GATES, 2), np.array([0.75, 2.5]), duration=60.0)
    for current, spikes in zip((0.75, 2.5), together.spike_times, strict=True):
        alone = pr.euler(pr.ZERO_GATES, current, duration=60.0).spike_times
        np.testing.assert_allclose(spikes, alone, atol=1e-9)


# --- Pinsky-Rinzel: REFERENCE 2a ------------------------------------------------------------

PANEL_A = [
    13.76,
    16.82,
    22.345,
    92.52,
    96.09,
    102.14,
    435.655,
    439.32,
    441.625,
    445.515,
    932.095,
    935.76,
    938.065,
    941.955,
    1428.55,
    1432.22,
    1434.525,
    1438.415,
]


def test_panel_a_spike_times_of_opensourcebrain():
    run = pr.euler(pr.ZERO_GATES, 0.75, duration=1500.0, dt=0.005)
    np.testing.assert_allclose(run.spike_times, PANEL_A, rtol=0, atol=1e-9)


@pytest.mark.parametrize("I_s, v", [(-0.5, -64.4), (-0.4, None)])
def test_pinsky_rinzel_is_silent_at_low_current(I_s, v):
    run = pr.lsoda(pr.INITIAL, I_s, duration=8000.0, t_eval=[8000.0])
    assert len(run.spike_times) == 0
    if v is not None:
        assert run.y[0, 0] == pytest.approx(v, abs=0.05)


@pytest.mark.parametrize(
    "currents, changes, period, spikes",
    [
        ({"I_s": 0.0}, {}, 1318.3, 3),
        ({"I_s": 0.75}, {}, 495.0, 4),
        ({"I_s": 2.5}, {}, 22.757, 1),
        ({"I_s": -0.5, "I_d": 1.0}, {}, 683.2, None),
        ({"I_s": 2.5}, {"g_c": 10.5}, 100.6, 1),  # panel D
        ({"I_s": 0.75}, {"E_Na": 55.0}, 467.4, None),  # the paper's runs with V_Na = 115
    ],
)
def test_pinsky_rinzel_period_and_spikes_per_burst(currents, changes, period, spikes):
    run = pr.lsoda(pr.INITIAL, **currents, duration=6000.0, par=pr.parameters(**changes))
    bursts = pr.summarise(run.spike_times, after=2000.0)
    assert bursts.period == pytest.approx(period, rel=1e-3)
    if spikes:
        assert bursts.spikes_per_burst == spikes


def test_pinsky_rinzel_bursts_slowly_just_above_rheobase():
    """REFERENCE 2a lists I_s = -0.3 as silent; its bursts are 4.39 s apart."""
    run = pr.lsoda(pr.INITIAL, -0.3, duration=10000.0)
    bursts = pr.summarise(run.spike_times)
    np.testing.assert_allclose(bursts.onsets, [696.54, 5086.60, 9479.37], atol=0.05)
    assert bursts.spikes.tolist() == [3, 3, 3]


def test_pinsky_rinzel_intervals_within_a_burst():
    spikes = pr.lsoda(pr.INITIAL, 0.75, duration=3000.0).spike_times
    first = np.searchsorted(spikes, 1000.0)
    assert np.diff(spikes[first:])[:3] == pytest.approx([3.68, 2.30, 3.9], abs=0.02)


def test_pinsky_rinzel_extrema_of_modeldb():
    run = pr.lsoda(pr.ZERO_GATES, 0.75, duration=1000.0, t_eval=np.arange(0, 1000, 0.05))
    peak = run.y.max(axis=0)
    assert peak[1] == pytest.approx(12.1, abs=0.05)  # V_d
    assert peak[6] == pytest.approx(0.261, abs=5e-4)  # q
    assert peak[7] == pytest.approx(377.7, rel=1e-3)  # Ca, first burst
    assert run.y[run.t > 600, 7].max() == pytest.approx(352.2, rel=1e-3)


def test_the_printed_alpha_c_loses_very_low_frequency_bursting():
    run = pr.lsoda(pr.INITIAL, 0.75, duration=4000.0, par=pr.parameters(alpha_c="printed"))
    bursts = pr.summarise(run.spike_times, gap=20.0, after=1000.0)
    assert bursts.period < 100 and bursts.spikes_per_burst == 2  # doublets at 11 Hz
    low = [pr._c_rates(-60.0, stepping.FloatOps, v)[0] for v in ("printed", "erratum")]
    assert low[0] < 0 < low[1]  # the printed rate is negative at rest


@pytest.mark.slow
def test_pinsky_rinzel_f_i_rows_in_one_vectorised_runge_kutta_run():
    I_s = np.array([-0.5, -0.4, 0.0, 0.75, 2.5, -0.5])
    I_d = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    run = pr.rk4(pr.broadcast(pr.INITIAL, 6), I_s, I_d, duration=5000.0, dt=0.025)
    rows = [pr.summarise(spikes, after=1500.0) for spikes in run.spike_times]
    assert [len(spikes) for spikes in run.spike_times[:2]] == [0, 0]
    assert [r.period for r in rows[2:]] == pytest.approx([1318.3, 495.0, 22.75, 683.2], rel=1e-3)
    assert [r.spikes_per_burst for r in rows[2:]] == [3, 4, 1, 3]


# --- Kepecs-Wang: REFERENCE 2b --------------------------------------------------------------


@pytest.mark.parametrize("I_d, v", [(0.0, -64.26), (0.25, -62.47)])
def test_kepecs_wang_rests(I_d, v):
    """At 0.25 the initial state sets off one burst; then the neuron rests."""
    run = kw.lsoda(kw.INITIAL, 0.0, I_d, duration=2000.0, t_eval=[2000.0])
    assert (run.spike_times < 60.0).all()
    assert run.y[0, 0] == pytest.approx(v, abs=0.005)


def bursts_of(I_d=1.0, **changes):
    """Return the bursts of the Kepecs-Wang neuron after one second."""
    run = kw.lsoda(kw.INITIAL, 0.0, I_d, duration=3000.0, par=kw.parameters(**changes))
    return kw.summarise(run.spike_times, after=1000.0)


@pytest.mark.parametrize(
    "changes, period, spikes",
    [
        ({}, 198.6, 4),
        ({"g_KS": 0.7}, 199.4, 5),
        ({"g_NaP": 0.1, "g_KS": 1.0}, None, 2),
        ({"g_NaP": 0.14, "g_KS": 1.4}, None, 3),
    ],
)
def test_kepecs_wang_bursts(changes, period, spikes):
    bursts = bursts_of(**changes)
    assert bursts.spikes_per_burst == spikes
    if period:
        assert bursts.period == pytest.approx(period, rel=1e-3)


def test_kepecs_wang_smallest_interval():
    assert bursts_of().min_isi == pytest.approx(3.75, abs=0.01)


@pytest.mark.parametrize("changes", [{"nap": "l3h"}, {"link": "plus"}, {"g_c": 10.0}])
def test_the_printed_slips_and_tight_coupling_lose_bursting(changes):
    bursts = bursts_of(**changes)
    assert len(bursts.onsets) > 10
    assert set(bursts.spikes) == {1}


def test_kepecs_wang_fires_tonically_with_weak_dendritic_currents():
    """REFERENCE 2b gives no I_d for (.04, .4); it is silent at 1 and tonic at 3 uA/cm2."""
    weak = {"g_NaP": 0.04, "g_KS": 0.4}
    assert len(bursts_of(1.0, **weak).onsets) == 0
    assert set(bursts_of(3.0, **weak).spikes) == {1}


def test_kepecs_wang_in_one_vectorised_runge_kutta_run():
    I_d = np.array([0.0, 0.25, 1.0, 1.0])
    par = kw.parameters(g_KS=np.array([0.8, 0.8, 0.8, 0.7]))
    run = kw.rk4(kw.broadcast(kw.INITIAL, 4), 0.0, I_d, duration=650.0, dt=0.04, par=par)
    rows = [kw.summarise(spikes, after=150.0) for spikes in run.spike_times]
    assert [len(r.onsets) for r in rows[:2]] == [0, 0]
    assert [r.period for r in rows[2:]] == pytest.approx([198.6, 199.4], rel=2e-3)
    assert [r.spikes_per_burst for r in rows[2:]] == [4, 5]


# --- golden files ---------------------------------------------------------------------------


def golden(name):
    """Read a golden file."""
    return json.loads((HERE / "golden" / f"{name}.json").read_text(encoding="utf-8"))


def test_golden_panel_a_is_what_its_command_makes():
    assert golden("pinsky_rinzel_panel_a") == make_golden.panel_a()
    assert golden("pinsky_rinzel_panel_a")["spike_times_ms"] == PANEL_A


def test_golden_kepecs_wang_is_what_its_command_makes():
    stored, made = golden("kepecs_wang_lsoda"), make_golden.lsoda_reference()
    for key in ("burst_onsets_ms", "spike_times_ms"):
        assert stored[key] == pytest.approx(made[key], abs=1e-4)
    assert stored["spikes_per_burst"] == made["spikes_per_burst"]


# --- one-step rules -------------------------------------------------------------------------


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def no_ties(*layers):
    """Assert that no neuron came within 1e-9 of its threshold."""
    assert min(np.abs(layer.distance).min() for layer in layers) > 1e-9


def test_lif_by_hand():
    out = discrete.lif(np.array([0.6, 0.6, 0.6, 0.0]).reshape(1, 4, 1), beta=0.5)
    # .6; .3 + .6 = .9; .45 + .6 = 1.05 fires; .525 - 1
    np.testing.assert_allclose(out.states["U"][0, :, 0], [0.6, 0.9, 1.05, -0.475], atol=1e-15)
    assert out.spikes[0, :, 0].tolist() == [False, False, True, False]
    np.testing.assert_allclose(out.distance, out.states["U"] - 1.0)


def test_a_spike_needs_more_than_the_threshold_except_in_the_authors_code():
    at_threshold = np.ones((1, 1, 1))
    assert not discrete.lif(at_threshold, beta=0.5).spikes.any()
    x = 2 * at_threshold  # U_S = sigmoid(0) * 2 = 1 = V_th
    assert not discrete.lstm_lif(x).spikes.any()
    assert discrete.lstm_lif_code(x).spikes.all()


def test_lstm_lif_by_hand():
    out = discrete.lstm_lif(np.array([3.0, 1.0]).reshape(1, 2, 1), gamma=0.25)
    # step 1: U_D = 3, U_S = 1.5, fires. Step 2: U_D = 3 - .75 + 1 - .25 = 3, U_S = 1.5 + 1.5 - 1
    np.testing.assert_allclose(out.states["U_D"][0, :, 0], [3.0, 3.0])
    np.testing.assert_allclose(out.states["U_S"][0, :, 0], [1.5, 2.0])


def test_lstm_lif_is_the_two_compartment_neuron_without_decay(rng):
    x = rng.normal(0.1, 0.5, (3, 200, 4))
    w_rec = rng.normal(0, 0.3, (4, 4))
    special = discrete.lstm_lif(x, w_rec=w_rec, c_1=0.3, c_2=-0.7, gamma=0.4, v_th=0.9)
    general = discrete.two_compartment(
        x,
        w_rec=w_rec,
        alpha_1=1.0,
        alpha_2=1.0,
        beta_1=-discrete.sigmoid(0.3),
        beta_2=discrete.sigmoid(-0.7),
        gamma=0.4,
        v_th=0.9,
    )
    assert special.spikes.any()
    np.testing.assert_array_equal(special.spikes, general.spikes)


@pytest.mark.parametrize(
    "c_1, c_2, gamma, v_th", [(0.0, 0.0, 0.5, 1.0), (1.5, -0.5, 0.5, 1.0), (0.0, 0.0, 0.5, 1.5)]
)
def test_the_authors_code_is_the_paper_with_another_dendritic_reset(rng, c_1, c_2, gamma, v_th):
    x = rng.normal(0.2, 0.5, (4, 400, 6))
    weights = {
        "w_in": rng.normal(0, 0.4, (8, 6)),
        "w_rec": rng.normal(0, 0.2, (8, 8)),
        "bias": rng.normal(0, 0.1, 8),
    }
    code = discrete.lstm_lif_code(x, **weights, c_1=c_1, c_2=c_2, gamma=gamma, v_th=v_th)
    gamma_eff = gamma - discrete.sigmoid(c_1) * v_th
    paper = discrete.lstm_lif(x, **weights, c_1=c_1, c_2=c_2, gamma=gamma_eff, v_th=v_th)
    no_ties(code, paper)
    np.testing.assert_array_equal(code.spikes, paper.spikes)
    np.testing.assert_allclose(code.states["U_S"], paper.states["U_S"], atol=1e-9)
    printed = discrete.lstm_lif(x, **weights, c_1=c_1, c_2=c_2, gamma=gamma, v_th=v_th)
    assert (printed.spikes != code.spikes).any()


def test_lstm_lif_single_compartment_form(rng):
    """Seed 000 eq. 15."""
    x = rng.normal(0.1, 0.5, (2, 100, 3))
    c_1, c_2, gamma, v_th = 0.2, -0.4, 0.6, 1.1
    b_1, b_2 = -discrete.sigmoid(c_1), discrete.sigmoid(c_2)
    out = discrete.lstm_lif(x, c_1=c_1, c_2=c_2, gamma=gamma, v_th=v_th)
    u_d, u_s, s = out.states["U_D"][:, :-1], out.states["U_S"][:, :-1], out.spikes[:, :-1]
    eq_15 = (1 + b_1 * b_2) * u_s + b_2 * u_d + b_2 * x[:, 1:] - (b_2 * gamma + v_th) * s
    assert s.any()
    np.testing.assert_allclose(out.states["U_S"][:, 1:], eq_15, atol=1e-12)


def test_lstm_lif_below_threshold_is_a_lossless_rotation():
    """REFERENCE 3b: det J = 1, trace J = 2 + beta_1 beta_2, period 12.4 steps at (-.5, .5)."""
    x = np.zeros((1, 2000, 1))
    x[0, 0] = 1.0
    u = discrete.lstm_lif(x, v_th=1e9).states["U_S"][0, :, 0]
    ratio = (u[2:] + u[:-2]) / u[1:-1]  # u[t+1] = trace u[t] - det u[t-1]
    np.testing.assert_allclose(ratio[np.abs(u[1:-1]) > 1e-3], 2 - 0.25, atol=1e-9)
    period = 2000 / np.argmax(np.abs(np.fft.rfft(u)))
    assert period == pytest.approx(12.4, abs=0.1)
    assert np.abs(u[-50:]).max() == pytest.approx(np.abs(u[:50]).max(), rel=0.05)


def test_alif_by_hand():
    out = discrete.alif(np.full((1, 2, 1), 1.0), alpha=0.8, rho=0.5)
    # step 1: a = 0, B = .01, u = .2, fires. Step 2: a = .5, B = .91, u = .16 + .2 - .91
    np.testing.assert_allclose(out.states["B"][0, :, 0], [0.01, 0.91])
    np.testing.assert_allclose(out.states["U"][0, :, 0], [0.2, -0.55])
    np.testing.assert_allclose(out.distance[0, :, 0], [0.19, -1.46])


def test_modulation_interpolates_and_is_tangent_at_zero():
    z = np.linspace(-4, 4, 81)
    np.testing.assert_allclose(discrete.sigmoid(z), 1 / (1 + np.exp(-z)), atol=1e-15)
    np.testing.assert_array_equal(discrete.modulation(z, m=1.0), np.clip(0.5 + z / 4, 0, 1))
    np.testing.assert_allclose(discrete.modulation(z, m=0.0), discrete.sigmoid(z))
    half = (discrete.sigmoid(z) + discrete.hard_sigmoid(z)) / 2
    np.testing.assert_allclose(discrete.modulation(z, m=0.5), half)
    assert discrete.sigmoid(np.array([-1e4, 1e4])).tolist() == [0.0, 1.0]


SYNAPSES = {
    "I_NI": 1.1,
    "F_NM": 0.7,
    "O_NO": 0.4,
    "NC_NM": 0.5,
    "NI_NC": 0.6,
    "NM_NC": 0.5,
    "NC_NO": 0.7,
}


def lrmm_weights(rng, n_in, n):
    """Return weights and biases of an LRMM layer."""
    return {
        "w_in": {j: rng.normal(0, 0.6, (n, n_in)) for j in "IFO"},
        "w_rec": {j: rng.normal(0, 0.4, (n, n)) for j in "IFO"},
        "bias": {j: rng.normal(0, 0.2, n) for j in "IFO"},
    }


def slow_lrmm(x, w_in, w_rec, bias, w, alpha, m):
    """LRMM of one sample in scalar loops: x (T, n_in) -> output spikes (T, n)."""
    n = len(bias["I"])
    u, s = ({cell: [0.0] * n for cell in "IMCO"} for _ in range(2))

    def gate(port, i, x_t, s_o):
        z = bias[port][i] + sum(w_in[port][i] * x_t) + sum(w_rec[port][i] * s_o)
        return m * min(max(0.5 + z / 4, 0), 1) + (1 - m) / (1 + np.exp(-z))

    def fire(cell, i, current):
        u[cell][i] = alpha * (u[cell][i] - s[cell][i]) + current
        s[cell][i] = float(u[cell][i] > 1)

    out = []
    for x_t in x:
        s_o = np.array(s["O"])
        for i in range(n):
            fire("I", i, w["I_NI"] * gate("I", i, x_t, s_o))
            fire("M", i, w["NC_NM"] * s["C"][i] + w["F_NM"] * gate("F", i, x_t, s_o))
            fire("C", i, w["NI_NC"] * s["I"][i] + w["NM_NC"] * s["M"][i])
            fire("O", i, w["NC_NO"] * s["C"][i] + w["O_NO"] * gate("O", i, x_t, s_o))
        out.append(list(s["O"]))
    return np.array(out) > 0.5


@pytest.mark.parametrize("m", [1.0, 0.3])
def test_lrmm_equals_scalar_loops(rng, m):
    weights = lrmm_weights(rng, 3, 5)
    x = rng.normal(0, 1, (2, 60, 3))
    fast = discrete.lrmm(x, **weights, synapses=SYNAPSES, alpha=0.9, m=m)
    no_ties(fast)
    assert 0.05 < fast.spikes.mean() < 0.95
    for k in range(2):
        slow = slow_lrmm(x[k], **weights, w=SYNAPSES, alpha=0.9, m=m)
        np.testing.assert_array_equal(fast.spikes[k], slow)


def test_lrmm_by_hand():
    """One unit, the input gate open: I -> C -> O in one step, C -> M a step later."""
    closed, open_ = np.full((1, 1), -9.0), np.full((1, 1), 9.0)
    w = {
        "I_NI": 1.5,
        "F_NM": 1.5,
        "O_NO": 1.5,
        "NC_NM": 1.5,
        "NI_NC": 1.5,
        "NM_NC": 1.5,
        "NC_NO": 1.5,
    }
    w_in = {"I": open_, "F": closed, "O": closed}
    out = discrete.lrmm(np.ones((1, 2, 1)), w_in, synapses=w, alpha=0.5)
    s = out.states
    assert [s[f"S_{cell}"][0, 0, 0] for cell in "IMCO"] == [1, 0, 1, 1]
    # step 2: N_M gets N_C of step 1; U_C = .5 (1.5 - 1) + 1.5 + 1.5
    assert [s[f"S_{cell}"][0, 1, 0] for cell in "IMCO"] == [1, 1, 1, 1]
    assert s["U_M"][0, :, 0].tolist() == [0.0, 1.5]
    assert s["U_C"][0, :, 0].tolist() == [1.5, 3.25]


def test_lrmm_alif_replaces_the_input_and_the_output_neuron(rng):
    weights = lrmm_weights(rng, 3, 5)
    x = rng.normal(0, 1, (2, 80, 3))
    rule = {"alif_alpha": 0.9, "alif_rho": 0.97}
    out = discrete.lrmm_alif(x, **weights, synapses=SYNAPSES, **rule)
    assert {"a_I", "B_I", "a_O", "B_O"} <= set(out.states)
    assert not {"a_M", "a_C"} & set(out.states)
    # N_I alone, and N_C from its own currents: the one ALIF as in `alif`, the other LIF
    n_i = discrete.alif(SYNAPSES["I_NI"] * out.states["I_I"], alpha=0.9, rho=0.97)
    np.testing.assert_array_equal(n_i.spikes, out.states["S_I"] > 0.5)
    current = SYNAPSES["NI_NC"] * out.states["S_I"] + SYNAPSES["NM_NC"] * out.states["S_M"]
    np.testing.assert_allclose(
        out.states["U_C"][:, 1:],
        0.95 * (out.states["U_C"] - out.states["S_C"])[:, :-1] + current[:, 1:],
        atol=1e-12,
    )
    assert out.states["S_C"].any() and out.spikes.any()
    none = discrete.lrmm_alif(x, **weights, synapses=SYNAPSES, **rule, alif_cells=())
    plain = discrete.lrmm(x, **weights, synapses=SYNAPSES)
    np.testing.assert_array_equal(none.spikes, plain.spikes)


LAYERS = [
    (discrete.lif, {"beta": 0.9}),
    (discrete.lstm_lif, {}),
    (discrete.lstm_lif_code, {"gamma": 0.7}),
    (discrete.alif, {"alpha": 0.8, "rho": 0.95}),
]


@pytest.mark.parametrize("rule, kwargs", LAYERS)
def test_recurrent_spikes_act_one_step_later(rng, rule, kwargs):
    x = rng.normal(0.3, 0.5, (2, 100, 4))
    w_rec = rng.normal(0, 0.5, (4, 4))
    recurrent = rule(x, w_rec=w_rec, **kwargs)
    late = np.zeros_like(x)
    late[:, 1:] = recurrent.spikes[:, :-1] @ w_rec.T
    assert recurrent.spikes.any()
    unrolled = rule(x + late, **kwargs)
    no_ties(recurrent)
    np.testing.assert_array_equal(recurrent.spikes, unrolled.spikes)


@pytest.mark.parametrize("rule, kwargs", LAYERS)
def test_input_weights_and_bias_make_the_current(rng, rule, kwargs):
    x, w_in, bias = rng.normal(0.3, 0.5, (2, 50, 3)), rng.normal(0, 0.7, (4, 3)), rng.random(4)
    np.testing.assert_array_equal(
        rule(x, w_in, bias=bias, **kwargs).spikes, rule(x @ w_in.T + bias, **kwargs).spikes
    )


def test_the_next_layer_sees_the_spikes_of_the_same_step():
    pulse = np.zeros((1, 5, 1))
    pulse[0, 2] = 2.0
    relay = {"w_in": np.array([[2.0]]), "beta": 0.0}
    x_layers = [(discrete.lif, relay)] * 3
    out = discrete.network(x_layers, pulse, np.array([[3.0]]), np.array([0.5]))
    for layer in out.layers:
        assert np.flatnonzero(layer.spikes[0, :, 0]).tolist() == [2]
    assert out.readout[0, :, 0].tolist() == [0.5, 0.5, 3.5, 0.5, 0.5]


def test_a_network_is_causal(rng):
    """A longer input changes nothing before it; so layers may run one after another."""
    weights = [
        lrmm_weights(rng, 3, 5),
        {"w_in": rng.normal(0, 1, (4, 5)), "w_rec": rng.normal(0, 0.5, (4, 4))},
    ]
    layers = [
        (discrete.lrmm, weights[0] | {"synapses": SYNAPSES}),
        (discrete.lif, weights[1] | {"beta": 0.9}),
    ]
    x = rng.normal(0, 1, (2, 40, 3))
    whole = discrete.network(layers, x)
    for t in (1, 7, 40):
        part = discrete.network(layers, x[:, :t])
        for a, b in zip(part.layers, whole.layers, strict=True):
            np.testing.assert_array_equal(a.spikes, b.spikes[:, :t])
