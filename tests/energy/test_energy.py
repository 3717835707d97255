"""Published numbers and laws of the energy accounting and of parameter counts.

The printed formulas of both papers are written here a second time, as the reference.  The package
derives them from the text of the models.
"""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dendrosim as ds
from dendrosim import energy
from dendrosim.energy.text_operations import Operations, spikes, step_operations
from dendrosim.errors import DendrosimError
from dendrosim.networks.architecture import n_parameters, sizes_of

SIZES, RECURRENT = (1, 64, 256, 256), (True, True, False)
RATES = {"lif": (0.219, 0.145, 0.004), "lstm_lif": (0.294, 0.146, 0.030)}
SHD = ((700, 128, 128), True)
SHD_RATES = (
    {"S_I": 0.168, "S_O": 0.311, "S_C": 0.366, "S_M": 0.274},
    {"S_I": 0.196, "S_O": 0.269, "S_C": 0.330, "S_M": 0.197},
)


class TestSeed000:
    """Table 2 of LSTM-LIF: 23.8, 28.2 and 2,834.7 nJ."""

    def test_hidden_layers(self):
        assert energy.lif_network(SIZES, RECURRENT, RATES["lif"]) == pytest.approx(23.838048)
        found = energy.lstm_lif_network(SIZES, RECURRENT, RATES["lstm_lif"])
        assert found == pytest.approx(28.0560384)
        assert energy.lstm_network(SIZES, RECURRENT) == pytest.approx(2834.7776)

    def test_the_printed_28_2_needs_readout_and_input(self):
        def found(**more):
            return energy.lstm_lif_network(SIZES, RECURRENT, RATES["lstm_lif"], **more)

        assert found(n_out=10) == pytest.approx(28.1251584)
        assert found(n_out=10, input_rate=1) == pytest.approx(28.1827584)
        asked = ({}, {"n_out": 10}, {"n_out": 10, "input_rate": 1})
        assert [round(found(**more), 1) for more in asked] == [28.1, 28.1, 28.2]
        # counted like this, the LIF network no longer gives the printed 23.8
        assert energy.lif_network(
            SIZES, RECURRENT, RATES["lif"], n_out=10, input_rate=1
        ) == pytest.approx(23.904864)

    def test_more_than_a_hundred_times_less_than_lstm(self):
        ratio = energy.lstm_network(SIZES, RECURRENT) / energy.lstm_lif_network(
            SIZES, RECURRENT, RATES["lstm_lif"], n_out=10, input_rate=1
        )
        assert ratio == pytest.approx(100.586, abs=1e-3)


class TestSeed002:
    """Tables 3 and 4 and appendix A.8, A.9 of LRMM."""

    def test_lrmm_as_printed(self):
        found = energy.operations(
            "lrmm", *SHD, SHD_RATES, input_rate=0.114, n_out=20, convention="printed"
        )
        one = found.parts["input"] + found.parts["layer 0"]
        assert one.ac == pytest.approx(30_912.896, rel=1e-12)
        assert found.parts["layer 1"].ac == pytest.approx(15_524.352, rel=1e-12)
        assert found.parts["readout"].ac == pytest.approx(172.16, rel=1e-12)
        assert found.total.ac == pytest.approx(46_609.408, rel=1e-12)
        assert found.total.mac == 1024
        assert found.nanojoules() == pytest.approx(46.6588672, rel=1e-12)

    def test_lrmm_corrected(self):
        found = energy.operations(
            "lrmm", *SHD, SHD_RATES, input_rate=0.114, n_out=20, convention="corrected"
        )
        one = found.parts["input"] + found.parts["layer 0"]
        parts = [one.ac, found.parts["layer 1"].ac, found.parts["readout"].ac]
        assert [round(part) for part in parts] == [46_080, 28_643, 689]
        assert found.total.mac == 1024
        assert round(found.nanojoules(), 1) == 72.6
        assert found.nanojoules() == energy.lrmm_network(
            *SHD, SHD_RATES, input_rate=0.114, n_out=20, convention="corrected"
        )

    def test_a_quarter_of_the_price_is_a_quarter_of_the_neurons(self):
        """Eqs 52-53 with 512 neurons and E_AC/4, and the same with 128 circuits and E_AC."""

        def accumulates(n, price):
            total = 0.0
            for m, below, r in zip((700, 128), (0.114, 0.311), SHD_RATES, strict=True):
                inner = 3 * r["S_O"] + r["S_I"] + r["S_M"] + 2 * r["S_C"]
                total += (3 * m * n * below + n * inner) * price
            return total

        found = energy.operations(
            "lrmm", *SHD, SHD_RATES, input_rate=0.114, n_out=20, convention="printed"
        )
        layers = found.total.ac - found.parts["readout"].ac
        assert accumulates(512, 1 / 4) == pytest.approx(accumulates(128, 1))
        assert layers == pytest.approx(accumulates(128, 1), rel=1e-12)

    def test_baselines_as_printed(self):
        """Each layer separately: the printed sums use two different output rates for one layer."""

        def total(model, rates_in, rate):
            layers = [
                energy.operations(model, (m, 512), True, (rate,), input_rate=below)
                for m, below in zip((700, 512), rates_in, strict=True)
            ]
            assert len({layer.total.mac for layer in layers}) == 1
            return layers

        lif = total("lif", (0.274, 0.226), 0.085)
        assert [la.total.ac for la in lif] == pytest.approx([120_527.36, 81_570.304], rel=1e-12)
        assert sum(la.total.mac for la in lif) == 1024
        assert sum(la.nanojoules() for la in lif) == pytest.approx(186.5982976, rel=1e-12)
        tc = total("lstm_lif", (0.294, 0.241), 0.108)
        assert [la.total.ac for la in tc] == pytest.approx([133_791.744, 91_598.848], rel=1e-12)
        assert sum(la.total.mac for la in tc) == 2048
        assert sum(la.nanojoules() for la in tc) == pytest.approx(212.2723328, rel=1e-12)

    def test_lstm_as_printed(self):
        found = energy.lstm_operations((700, 512, 512))
        assert [o.mac for o in found.parts.values()] == [2_490_880, 2_105_856]
        assert found.total.mac == 4_596_736
        assert found.nanojoules() == pytest.approx(21_144.9856)

    def test_claims_of_the_abstract(self):
        lrmm = energy.operations(
            "lrmm", *SHD, SHD_RATES, input_rate=0.114, n_out=20, convention="printed"
        )
        lstm = energy.lstm_operations((700, 512, 512))
        assert round(lstm.nanojoules() / lrmm.nanojoules()) == 453
        assert lstm.total.mac / lrmm.total.mac == 4489
        assert 1 - lrmm.total.ac / 202_097.664 == pytest.approx(0.77, abs=0.005)

    def test_lif_of_the_same_size_takes_less(self):
        found = energy.lif_network((700, 128, 128), True, (0.274, 0.226), input_rate=0.114)
        assert round(found, 1) == 21.8


TABLES = [
    ("1-40-256-128-10", False, 44_762),
    ("1-64-256-256-10", False, 85_130),
    ("1-40-200-64-10", (True, True, False), 63_634),
    ("1-64-256-256-10", (True, True, False), 155_082),
    ("1-40-256-128-10", (True, True, False), 112_194),
    ("40-300-300-12", False, 106_212),
    ("40-300-300-12", (True, False), 196_512),
    ("700-128-128-20", False, 108_820),
    ("700-128-128-20", True, 141_844),
    ("700-128-128-35", False, 110_755),
    ("700-128-35", True, 110_755),
    ("700-128-128-35", True, 143_779),
    ("2-128-128-10", False, 18_186),
    ("2-128-128-10", (True, False), 34_698),
    ("2-128-128-10", True, 51_210),
]
#: LRMM: one bias per gate, no scalars in the units.
LRMM_TABLES = [
    ("1-128-128-10", True, 149_898), ("700-128-128-20", True, 419_604),
    ("700-128-128-35", True, 421_539), ("2-128-128-10", True, 150_282),
    ("1-128-10", True, 51_210), ("700-128-20", True, 320_916), ("700-128-35", True, 322_851),
    ("2-128-10", True, 51_594), ("700-128-20", False, 271_764), ("700-128-128-35", False, 323_235),
]  # fmt: skip


class TestParameters:
    @pytest.mark.parametrize(("sizes", "recurrent", "printed"), TABLES)
    def test_tables_1_and_4_of_seed_000(self, sizes, recurrent, printed):
        assert n_parameters(sizes, recurrent, recurrent_bias=True) == printed

    @pytest.mark.parametrize(("sizes", "recurrent", "expected"), LRMM_TABLES)
    def test_lrmm(self, sizes, recurrent, expected):
        assert n_parameters(sizes, recurrent, ports=3) == expected

    @given(
        st.lists(st.integers(1, 6), min_size=3, max_size=5), st.data(),
        st.sampled_from(["lif", "lstm_lif", "lrmm"]),
    )  # fmt: skip
    def test_a_network_has_as_many(self, sizes, data, model):
        own = data.draw(st.lists(st.booleans(), min_size=len(sizes) - 2, max_size=len(sizes) - 2))
        layers = [ds.Layer(model, m, n, r) for m, n, r in zip(sizes, sizes[1:], own, strict=False)]
        network = ds.Network.random(layers, n_out=sizes[-1])
        ports = len(ds.load_model(model).ports)
        assert network.n_weights == n_parameters(sizes, own, ports)

    @pytest.mark.parametrize(
        ("call", "said"),
        [
            (lambda: n_parameters("1-x-3"), "sizes = '1-x-3' are not whole numbers from 1"),
            (lambda: n_parameters("1-0-3"), "sizes = '1-0-3' are not"),
            (lambda: n_parameters("7"), "sizes = '7' are not"),
            (lambda: n_parameters("1-10"), "sizes = '1-10' hold no hidden layer"),
            (lambda: n_parameters("1-4-10", (True, False)), "each of 1 hidden layers"),
            (lambda: n_parameters("1-4-10", (1,)), "recurrent = (1,)"),
            (lambda: sizes_of([1.5, 2]), "sizes = [1.5, 2] are not"),
        ],
    )
    def test_refusals(self, call, said):
        with pytest.raises(DendrosimError, match=re.escape(said)):
            call()


def by_hand(model, sizes, own, rates, input_rate, n_out):
    """Tables 2 and 6 of seed 000, with recurrence only in recurrent layers."""
    c = {"lif": 1, "lstm_lif": 2}[model]
    ac, mac = 0.0, 0.0
    below = input_rate
    for m, n, rec, rate in zip(sizes, sizes[1:], own, rates, strict=False):
        ac += m * n * below + (n * n * rec + c * n) * rate
        mac += c * n
        below = rate
    return (ac + sizes[-1] * n_out * below) * 0.9e-3 + mac * 4.6e-3


class TestLaws:
    @given(
        st.sampled_from(["lif", "lstm_lif"]), st.lists(st.integers(1, 500), min_size=2, max_size=5),
        st.floats(0, 3), st.integers(0, 20), st.data(),
    )  # fmt: skip
    def test_the_text_costs_what_the_paper_prints(self, model, sizes, input_rate, n_out, data):
        size = {"min_size": len(sizes) - 1, "max_size": len(sizes) - 1}
        own = data.draw(st.lists(st.booleans(), **size))
        rates = data.draw(st.lists(st.floats(0, 1), **size))
        found = getattr(energy, f"{model}_network")(
            sizes, own, rates, input_rate=input_rate, n_out=n_out
        )
        assert found == pytest.approx(by_hand(model, sizes, own, rates, input_rate, n_out))

    @given(st.floats(0, 5), st.floats(0, 5))
    def test_prices(self, e_ac, e_mac):
        found = energy.lif_network((2, 3), True, (0.5,), e_ac=e_ac, e_mac=e_mac)
        assert found == pytest.approx(((9 + 3) * 0.5 * e_ac + 3 * e_mac) * 1e-3)

    @pytest.mark.parametrize("convention", energy.CONVENTIONS)
    def test_no_spike_costs_the_multiplications_alone(self, convention):
        none = [dict.fromkeys(("S_I", "S_M", "S_C", "S_O"), 0.0)]
        found = energy.operations(
            "lrmm", (5, 7), True, none, input_rate=0, n_out=3, convention=convention
        )
        assert found.total.ac == 0
        assert found.total.mac == 7 * (7 if convention == "text" else 4)


#: One step with S at a rate of 0.25: accumulates and multiply-and-accumulates by hand.
COUNTED = [
    ("U = 0.5*U + I - S", 0.25, 1),
    ("U = U + I - S", 0.25, 0),
    ("U = 1*U + I - k*S", 0.25, 0),
    ("U = k*U + k*I - (k*S + S)", 0.5, 2),
    ("U = k*(U + V - S) + I", 1.25, 1),
    ("U = U + V + I + 2", 2, 0),
    ("U = U + z*V*S + I", 0, 0),
    ("U = U*V + I", 0, 1),
    ("U = U*V*S + I", 0.25, 1),
    ("U = -U + I/k - S/k", 0.25, 1),
    ("U = 1/(1 + exp(-U)) + I", 0, 2),
    ("U = clip(k*U, 0, 1) + abs(V) + I", 1, 1),
    ("U = U**2 + I", 0, 1),
    ("U = U + k*int(U > 2*V and not (V > 1)) + I", 1, 1),
    ("U = sin(k)*U + I", 0, 1),
    ("U = U/V + I", 0, 1),
]


class TestText:
    @pytest.mark.parametrize(("line", "ac", "mac"), COUNTED)
    def test_rules(self, line, ac, mac, tmp_path):
        path = tmp_path / "mine.toml"
        path.write_text(
            'title = "mine"\nkind = "discrete"\ninputs = ["I"]\noutput = "S"\n'
            f'update = """\n{line}\nV = V\nS = int(U > 1)\n"""\n[parameters]\nk = "0.7"\nz = "0"\n'
        )
        model = ds.load_model(path)
        found = step_operations(model, model.values(), {"S": 0.25})
        assert (found.ac, found.mac) == (ac, mac)

    @pytest.mark.parametrize("name", ["alif", "lstm_lif_code", "lrmm_alif", "two_compartment"])
    def test_every_model_can_be_counted(self, name):
        model = ds.load_model(name)
        rates = dict.fromkeys(spikes(model), 0.1)
        assert step_operations(model, model.values(), rates).mac >= 2

    def test_the_code_of_lstm_lif_costs_what_the_equations_cost(self):
        both = [
            energy.operations(name, SIZES, RECURRENT, RATES["lstm_lif"]).nanojoules()
            for name in ("lstm_lif", "lstm_lif_code")
        ]
        assert both[0] == pytest.approx(both[1])


@pytest.fixture(scope="module")
def ran():
    """A layer of LRMM after one of LSTM-LIF, with input and run."""
    layers = [ds.Layer("lstm_lif", 3, 6, True), ds.Layer("lrmm", 6, 4, True, parameters={"w_I": 2})]
    network = ds.Network.random(layers, n_out=2, seed=3)
    x = np.random.default_rng(0).normal(size=(5, 20, 3)) * 3
    run = ds.run_network(network, x, device="numpy", record=energy.inner_spikes(network))
    return network, x, run


class TestCount:
    def test_a_dense_network_is_its_rates(self, ran):
        network, x, run = ran
        found = energy.count(network, run, x, readout=True)
        first = energy.operations("lstm_lif", (3, 6), True, [run.spikes[0].mean()])
        assert found.parts["layer 0"] == approximately(first.parts["layer 0"])
        rates = {name: values.mean() for name, values in run.states[1].items()}
        rates["S_O"] = run.spikes[1].mean()
        lrmm = ds.load_model("lrmm").with_(parameters={"w_I": 2})
        second = energy.operations(
            lrmm, (6, 4), True, [rates], input_rate=run.spikes[0].mean(), n_out=2
        )
        expected = second.parts["layer 0"] + second.parts["input"]
        assert found.parts["layer 1"] == approximately(expected)
        assert found.parts["readout"] == approximately(second.parts["readout"])
        assert found.parts["input"] == Operations(mac=18)  # real numbers, none of them 0

    @pytest.mark.parametrize("convention", ["printed", "corrected"])
    def test_conventions(self, ran, convention):
        network, _, run = ran
        found = energy.count(network, run, convention=convention)
        assert found.parts["layer 1"].mac == 16
        assert found.parts["layer 0"] == energy.count(network, run).parts["layer 0"]
        assert "input" not in found.parts and "readout" not in found.parts

    def test_spikes_that_come_in_are_accumulates(self, ran):
        network, _, run = ran
        x = np.zeros((1, 10, 3))
        x[0, :5, 0], x[0, 2, 1] = 1, 3
        found = energy.count(network, run, x)
        assert found.parts["input"] == approximately(Operations(ac=(5 + 3) / 10 * 6))

    def test_a_weight_of_0_costs_nothing(self):
        weights = np.ones((4, 3))
        weights[:, 1] = 0
        weights[0, 0] = 0
        network = ds.Network([ds.Layer("lif", 3, 4, input_weights={"I": weights})])
        x = np.ones((1, 6, 3))
        run = ds.run_network(network, x, device="numpy")
        assert energy.count(network, run, x).parts["input"].ac == 3 + 4

    def test_a_recording_of_single_neurons(self):
        model = ds.load_model("lif")
        protocol = ds.Protocol(
            "50 ms", [ds.Stimulus("soma", "constant", amplitude="linspace(0, 2, 5)")]
        )
        recording = ds.simulate(model, protocol, device="numpy", progress=False)
        network = ds.Network([ds.Layer("lif", 1, 5, input_weights={"I": np.ones((5, 1))})])
        found = energy.count(network, recording)
        assert found.total.ac == pytest.approx(len(recording.spike_t) / 50)
        assert found.total.ac > 1
        with pytest.raises(DendrosimError, match=r"of 5 neuron\(s\), not of a network of one lay"):
            energy.count(ds.Network([ds.Layer("lif", 1, 4)]), recording)

    def test_inner_spikes_are_those_of_their_neurons(self):
        """The order of columns does not change the count; a missing neuron gives an error."""
        drive = [ds.Stimulus("I", "constant", amplitude="[2, 9, 0.1]")]
        network = ds.Network([ds.Layer("lrmm", 1, 3)])
        options = {"device": "numpy", "progress": False, "record": ["S_I", "S_M", "S_C"]}
        made = [
            ds.simulate(ds.load_model("lrmm"), ds.Protocol("20 ms", drive), record_neurons=chosen,
                        **options)
            for chosen in (None, [2, 0, 1], [0, 2])
        ]  # fmt: skip
        assert energy.count(network, made[0]).total == energy.count(network, made[1]).total
        with pytest.raises(DendrosimError, match="no trace of neuron 1 was recorded"):
            energy.count(network, made[2])

    def test_refusals(self, ran):
        network, x, run = ran
        other = ds.Network.random([ds.Layer("lif", 3, 5)])
        with pytest.raises(DendrosimError, match="layer 0: the run is not of this network"):
            energy.count(other, run)
        bare = ds.run_network(network, x[:1, :2], device="numpy")
        with pytest.raises(DendrosimError, match="layer 1: S_I, S_M, S_C of lrmm was not recorded"):
            energy.count(network, bare)


def approximately(expected):
    return Operations(pytest.approx(expected.ac), pytest.approx(expected.mac))


@settings(max_examples=20)
@given(st.integers(1, 5), st.floats(0, 1))
def test_a_count_is_a_table_and_plain_values(n, rate):
    found = energy.operations("lif", (2, n), False, [rate], n_out=3)
    assert found.text().splitlines()[-1].split()[0] == "total"
    plain = json.loads(json.dumps(found.to_json()))
    assert plain["nanojoules"] == pytest.approx(found.nanojoules())
    assert sum(part["ac"] for part in plain["parts"].values()) == pytest.approx(found.total.ac)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: energy.lif_network((2, 3), True, (0.1, 0.2)), "2 rates are given for 1 hidden"),
        (lambda: energy.lif_network((2, 3), True, (1.5,)), "rates[0]['S'] = 1.5 is not a number"),
        (lambda: energy.lif_network((2, 3), True, (True,)), "rates[0]['S'] = True"),
        (
            lambda: energy.lif_network((2, 3), True, (0.1,), input_rate=-1),
            "input_rate = -1 is not a number of spikes per step from 0",
        ),
        (lambda: energy.lrmm_network((2, 3), True, (0.1,)), "rates[0]: the rate of S_I, S_M, S_C"),
        (
            lambda: energy.lrmm_network((2, 3), True, ({"S_i": 0.1},)),
            "rates[0]: 'S_i' is not a spike of lrmm; did you mean 'S_I'?",
        ),
        (
            lambda: energy.operations("lif", (2, 3), True, (0.1,), convention="print"),
            "convention = 'print'; did you mean 'printed'?",
        ),
        (
            lambda: step_operations(ds.load_model("lif"), {"beta": 1.0, "V_th": 1.0}, {}),
            "lif: the rate of S is missing",
        ),
    ],
)  # fmt: skip
def test_refusals(call, said):
    with pytest.raises(DendrosimError, match=re.escape(said)):
        call()
