"""The biophysical models: the published numbers, an independent oracle, and the laws they obey."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference import kepecs_wang, pinsky_rinzel
from reference.stepping import summarise
from runs import MS, MV, constants, four, same_units, states
from scipy.integrate import cumulative_trapezoid

import dendrosim as ds
from dendrosim.model.quantities import quantity

# REFERENCE.md 2a, Pinsky and Rinzel 1994, Fig 2 A: OpenSourceBrain, NeuroML2/LEMS/.test.fig2.mep
PANEL_A = [
    13.76, 16.82, 22.345, 92.52, 96.09, 102.14, 435.655, 439.32, 441.625, 445.515, 932.095,
    935.76, 938.065, 941.955, 1428.55, 1432.22, 1434.525, 1438.415,
]  # fmt: skip


def pinsky(name="pinsky_rinzel_1994", **changes):
    return ds.load_model(name).with_(**changes)


def kepecs(variant=None, **changes):
    return ds.load_model("kepecs_wang_2000", variant).with_(**changes)


def ms(recording):
    """Spike times in ms, one array a neuron."""
    return [train / MS for train in recording.trains]


@pytest.fixture(scope="module")
def panel_a():
    """Forward Euler from the state that the published times start from."""
    return states(
        pinsky("pinsky_rinzel_1994:from_zero"),
        constants("1500 ms", "0.75 uA/cm**2"),
        method="euler",
        dt="0.005 ms",
    )


class TestPinskyRinzel:
    def test_the_18_published_spike_times(self, panel_a):
        (times,) = ms(panel_a)
        assert_allclose(times, PANEL_A, rtol=0, atol=1e-6)

    def test_f_i_rows(self):
        """REFERENCE.md 2a, and I_s = -0.3, which it calls silent: bursts 4392 ms apart."""
        rows = [  # I_s, I_d, period, spikes per burst
            (-0.5, 0, None, 0), (-0.4, 0, None, 0), (-0.3, 0, 4392.0, 3), (0, 0, 1318.3, 3),
            (0.75, 0, 495.0, 4), (2.5, 0, 22.755, 1), (-0.5, 1, 683.2, None),
        ]  # fmt: skip
        r = self.seven(pinsky(), "10000 ms", [row[0] for row in rows], [row[1] for row in rows])
        for (i_s, i_d, period, spikes), train in zip(rows, ms(r), strict=True):
            bursts = summarise(train, after=500.0 if i_s == -0.3 else 1500.0)
            told = f"I_s {i_s}, I_d {i_d}"
            if period is None:
                assert len(train) == 0, told
                continue
            assert bursts.period == pytest.approx(period, rel=0.01), told
            assert spikes is None or bursts.spikes_per_burst == spikes, told
        assert r.traces["v_s"].values[-1, 0] / MV == pytest.approx(-64.4, abs=0.05)

    def test_all_states_are_those_of_the_oracle(self):
        """Classical Runge-Kutta of both, through three spikes and the dendritic calcium spike."""
        soma, dendrite = np.array([0.75, -0.5, 0, 2, 0, 0, 0]), np.array([0, 3.0, 2, 2, 0, 0, 0])
        oracle = pinsky_rinzel.rk4(
            pinsky_rinzel.broadcast(pinsky_rinzel.ZERO_GATES, 7), soma, dendrite,
            duration=40.0, dt=0.025, record_every=5,
        )  # fmt: skip
        r = self.seven(pinsky("pinsky_rinzel_1994:from_zero"), "40 ms", soma, dendrite)
        assert [len(train) for train in ms(r)][:2] == [3, 3]
        for train, expected in zip(ms(r), oracle.spike_times, strict=True):
            assert_allclose(train, expected, rtol=1e-12)
        error = np.abs(same_units(r, pinsky_rinzel.STATES) - oracle.y[:-1]).max(axis=(0, 2))
        assert np.all(error < 1e-9 * np.array([100, 100, 1, 1, 1, 1, 1, 400]))
        assert oracle.y[:, pinsky_rinzel.STATES.index("v_d")].max() > 0  # a dendritic spike
        # LSODA, whose steps are its own: the spikes are right, not only the same
        accurate = pinsky_rinzel.lsoda(pinsky_rinzel.ZERO_GATES, 0.75, duration=40.0).spike_times
        assert_allclose(ms(r)[0], accurate, atol=0.03)

    def seven(self, model, duration, soma, dendrite):
        protocol = constants(
            duration, *(f"{[float(i) for i in x]} uA/cm**2" for x in (soma, dendrite))
        )
        return states(model, protocol, dt="0.025 ms", record_dt="0.125 ms")

    def test_the_printed_alpha_c_loses_very_low_frequency_bursting(self):
        r = ds.simulate(
            pinsky("pinsky_rinzel_1994:printed_alpha_c"), constants("3000 ms", "0.75 uA/cm**2"),
            record=[], progress=False,
        )  # fmt: skip
        bursts = summarise(ms(r)[0], gap=20.0, after=1000.0)
        assert bursts.period < 100 and bursts.spikes_per_burst == 2  # doublets at 11 Hz

    def test_gates_stay_between_0_and_1(self, panel_a):
        for gate in "hnscq":
            values = panel_a.traces[gate].values
            assert values.min() >= 0 and values.max() <= 1, gate
            assert np.ptp(values) > 0.01  # it took part
        assert panel_a.traces["Ca"].values.min() >= 0


class TestKepecsWang:
    def test_burst_rows(self):
        """REFERENCE.md 2b."""
        r = four("3000 ms")
        trains = ms(r)
        rest = r.traces["v_s"].values[-1] / MV
        assert_allclose(rest[:2], [-64.26, -62.47], atol=0.005)
        assert len(trains[0]) == 0 and np.all(trains[1] < 60)  # the initial state sets off a burst
        for train, period, spikes in ((trains[2], 198.6, 4), (trains[3], 199.4, 5)):
            bursts = summarise(train, after=1000.0)
            assert bursts.period == pytest.approx(period, rel=0.01)
            assert set(bursts.spikes[:-1]) == {spikes}
        assert summarise(trains[2], after=1000.0).min_isi == pytest.approx(3.75, abs=0.02)

    @pytest.mark.parametrize("variant", ["printed_nap", "printed_link"])
    def test_the_printed_variants_lose_bursting(self, variant):
        r = ds.simulate(
            kepecs(variant), constants("2000 ms", dendrite="1 uA/cm**2"), record=[], progress=False
        )
        bursts = summarise(ms(r)[0], after=500.0)
        assert len(bursts.onsets) >= 10 and set(bursts.spikes) == {1}

    def test_an_accurate_solver_agrees(self):
        accurate = kepecs_wang.lsoda(kepecs_wang.INITIAL, 0.0, 1.0, duration=60.0).spike_times
        assert_allclose(ms(four())[2], accurate, atol=0.03)

    def test_gates_stay_between_0_and_1(self):
        r = four()
        for gate in "hnq":
            values = r.traces[gate].values
            assert values.min() >= 0 and values.max() <= 1, gate
            assert np.ptp(values) > 0.1  # it took part


def only_coupling(model):
    """Return a model with every conductance but the coupling at 0, away from equilibrium."""
    zero = {key: "0 mS/cm**2" for key in model.parameters if key[:2] == "g_" and key != "g_c"}
    return model.with_(parameters=zero, initial={"v_s": "-40 mV", "v_d": "-80 mV"})


def charge(recording, p):
    """Return C_m*(p*v_s + (1 - p)*v_d), the charge of the whole membrane, at every sample."""
    v_s, v_d = recording.traces["v_s"].values[:, 0], recording.traces["v_d"].values[:, 0]
    capacity = float(quantity(recording.meta["parameters"]["C_m"]))
    return capacity * (p * v_s + (1 - p) * v_d)


class TestCharge:
    """Between the compartments no charge appears or is lost."""

    def run(self, model, soma, dendrite):
        device = "cpp" if "pinsky" in model.name else "numpy"  # there is a program of Euler steps
        return states(
            only_coupling(model), constants("20 ms", soma, dendrite),
            method="euler", dt="0.005 ms" if device == "cpp" else "0.02 ms", device=device,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("model", "p"), [(pinsky("pinsky_rinzel_1994:from_zero"), 0.5), (kepecs(), 0.15)]
    )
    def test_coupling_alone_keeps_it(self, model, p):
        r = self.run(model, "0 uA/cm**2", "0 uA/cm**2")
        q = charge(r, p)
        assert_allclose(q, q[0], rtol=0, atol=1e-12 * np.abs(q).max())
        apart = r.traces["v_s"].values - r.traces["v_d"].values
        assert abs(apart[-1, 0]) < 0.1 * abs(apart[0, 0])  # though it moved

    @pytest.mark.parametrize(
        ("model", "p", "shares"),
        [
            # the applied currents are divided by the areas: per membrane area they add up
            (pinsky("pinsky_rinzel_1994:from_zero"), 0.5, (1, 1)),
            (kepecs(), 0.15, (0.15, 0.85)),  # not divided: each acts on its own area
        ],
    )
    def test_what_is_injected_is_what_is_there(self, model, p, shares):
        r = self.run(model, "2 uA/cm**2", "-3 uA/cm**2")
        injected = 0.01 * (2 * shares[0] - 3 * shares[1]) * r.times
        q = charge(r, p)
        assert_allclose(q - q[0], injected, rtol=0, atol=1e-12 * np.abs(q).max())
        assert abs(injected[-1]) > 1e-3 * abs(q[0])

    def test_the_printed_link_makes_charge(self):
        r = states(
            only_coupling(kepecs("printed_link")), constants("5 ms"), device="numpy", method="euler"
        )
        q = charge(r, 0.15)
        assert abs(q[-1] - q[0]) > 0.01 * abs(q[0])

    def test_with_all_currents_it_is_their_integral(self, panel_a):
        """p*I_soma + (1 - p)*I_dendrite, of the recorded states, is the change of charge."""
        v_s, v_d, h, n, s, c, q, ca = same_units(panel_a, pinsky_rinzel.STATES)[:4000, :, 0].T
        rates = pinsky_rinzel.rhs(0.0, np.array([v_s, v_d, h, n, s, c, q, ca]), 0.75, 0.0)
        flow = 0.5 * rates[0] + 0.5 * rates[1]
        total = 0.5 * (v_s + v_d)
        euler = np.r_[0, np.cumsum(flow[:-1])] * 0.005
        assert_allclose(total - total[0], euler, atol=1e-9)
        smooth = cumulative_trapezoid(flow, dx=0.005, initial=0)
        assert_allclose(smooth, euler, atol=1.0)
