"""Models: the shelf, and the effects of changing a model."""

import copy
import dataclasses
import pickle
import re
import tomllib

import brian2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import dendrosim as ds
from dendrosim import shelves
from dendrosim.errors import DendrosimError
from dendrosim.model.equations import parse_equations
from dendrosim.model.expressions import parse_number, parse_statements
from dendrosim.model.quantities import describe, parse_unit, quantity

MODELS = shelves.names("models")
VOLT, DENSITY = parse_unit("volt").dim, parse_unit("amp/meter**2").dim
CONTINUOUS = [name for name in MODELS if ds.load_model(name).kind == "continuous"]
VARIANTS = [(name, variant) for name in MODELS for variant in ds.load_model(name).variants]


def table(name):
    return tomllib.loads((shelves.shelf("models") / f"{name}.toml").read_text(encoding="utf-8"))


@pytest.fixture
def kw():
    return ds.load_model("kepecs_wang_2000")


class TestShelf:
    def test_holds_the_models_of_the_issue(self):
        wanted = {"pinsky_rinzel_1994", "kepecs_wang_2000", "two_compartment", "lif"}
        assert wanted <= set(MODELS)

    @pytest.mark.parametrize("name", MODELS)
    def test_each_says_what_it_is_and_where_it_is_from(self, name):
        model = ds.load_model(name)
        assert model.title and model.reference
        assert re.search(r"\((19|20)\d\d\)", model.reference)
        if "openreview.net/forum?id=" in model.reference:  # ICLR gives no DOI
            assert not model.doi
        elif "Anonymous" not in model.reference:  # under review: no DOI yet
            assert re.fullmatch(r"10\.\d{4,9}/\S+", model.doi)
        for parameter in model.parameters.values():
            assert parameter.doc and parameter.source

    @pytest.mark.parametrize("name", CONTINUOUS)
    def test_each_biophysical_quantity_has_its_unit(self, name):
        model = ds.load_model(name)
        assert {"soma"} <= model.potentials.keys() == model.inputs.keys() <= {"soma", "dendrite"}
        assert {model.dims[v] for v in model.potentials.values()} == {VOLT}
        assert {model.dims[v] for v in model.inputs.values()} == {DENSITY}
        units = {"g_": "S/m**2", "E_": "volt", "C_": "F/m**2"}
        for key, parameter in model.parameters.items():
            if key[:2] in units:
                assert parameter.value.dim is parse_unit(units[key[:2]]).dim, key
            assert parameter.text == table(name)["parameters"][key]["value"]

    @pytest.mark.parametrize(("name", "variant"), VARIANTS)
    def test_a_variant_changes_what_it_names_and_nothing_else(self, name, variant):
        model = ds.load_model(name)
        changed = ds.load_model(f"{name}:{variant}")
        said = table(name)["variants"][variant]
        assert changed.name == f"{name}:{variant}" and said["title"]
        lines = parse_equations(said.get("equations", ""))
        if lines:
            assert len(lines) == 1  # exactly one line
        for before, after in zip(model.equations, changed.equations, strict=True):
            new = {line.name: line for line in lines}.get(before.name)
            assert after == (new or before)
            assert new is None or new.text != before.text
        new = {s.target: s for s in parse_statements(said.get("update", ""))}
        assert changed.update == tuple(new.get(s.target, s) for s in model.update)
        new = {name: parse_number(text) for name, text in said.get("derived", {}).items()}
        assert changed.derived == model.derived | new
        for key in ("parameters", "initial"):
            for entry, value in getattr(model, key).items():
                after = getattr(changed, key)[entry]
                given = said.get(key, {}).get(entry)
                if given is None:
                    assert after is value or np.all(after == value)
                else:
                    assert describe(quantity(given)) == describe(getattr(after, "value", after))

    @pytest.mark.parametrize(("name", "variant"), VARIANTS)
    def test_a_variant_has_a_hash_of_its_own(self, name, variant):
        model, changed = ds.load_model(name), ds.load_model(name, variant)
        if set(table(name)["variants"][variant]) != {"title", "recurrent"}:
            assert model.hash != changed.hash


@pytest.mark.parametrize("name", ["kepecs_wang_2000", "lrmm_alif:unscaled", "lm_h"])
def test_a_model_can_be_copied_and_pickled(name):
    model = ds.load_model(name)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.hash == model.hash and other.values().keys() == model.values().keys()
        assert all(other.dims[name] is dim for name, dim in model.dims.items())
        with pytest.raises(TypeError):
            other.parameters["new"] = 1


class TestLoad:
    def test_a_name_a_path_and_text_of_a_path_are_the_same_model(self, kw, tmp_path):
        path = shelves.shelf("models") / "kepecs_wang_2000.toml"
        assert ds.load_model(path).hash == ds.load_model(str(path)).hash == kw.hash
        copy = tmp_path / "mine.toml"
        copy.write_text(path.read_text())
        assert ds.load_model(copy).name == "mine"
        assert ds.load_model(f"{copy}:printed_nap").name == "mine:printed_nap"

    def test_a_colon_may_be_part_of_a_path(self, tmp_path):
        path = tmp_path / "a:b.toml"
        path.write_text((shelves.shelf("models") / "lif.toml").read_text())
        assert ds.load_model(str(path)).kind == "discrete"

    def test_the_text_and_the_states_are_those_of_the_file(self, kw):
        assert kw.states == ("v_s", "v_d", "h", "n", "q")
        assert ds.load_model("pinsky_rinzel_1994").states == (
            "v_s", "v_d", "Ca", "h", "n", "s", "c", "q",
        )  # fmt: skip
        assert "I_NaP = g_NaP*l_inf**3*(E_Na - v_d)" in kw.text
        order = [e.name for e in kw.subexpressions]
        assert order.index("alpha_m") < order.index("m_inf") < order.index("I_Na")
        assert repr(kw).startswith("<Model 'kepecs_wang_2000': continuous")

    def test_places_and_usual_names_of_inputs(self, kw):
        assert [kw.place(name) for name in ("soma", "I_s", "dendrite", "I_d")] == [
            "soma", "soma", "dendrite", "dendrite",
        ]  # fmt: skip
        assert ds.load_model("two_compartment").place("I") == "dendrite"
        with pytest.raises(DendrosimError, match=re.escape("it has soma (I_s), dendrite (I_d)")):
            kw.place("axon")

    def test_derived_values_follow_their_parameters(self):
        model = ds.load_model("lstm_lif").with_(parameters={"c_1": 1.5, "c_2": -0.5})
        values = model.values()
        assert float(values["beta_1"]) == pytest.approx(-1 / (1 + np.exp(-1.5)), rel=1e-15)
        assert float(values["beta_2"]) == pytest.approx(1 / (1 + np.exp(0.5)), rel=1e-15)
        grid = model.with_(parameters={"c_1": "linspace(-800, 800, 3)"}).values()["beta_1"]
        assert_array_equal(np.asarray(grid), [-0.0, -0.5, -1.0])


class TestWith:
    def test_gives_a_changed_copy(self, kw):
        before = kw.hash
        new = kw.with_(
            parameters={"g_c": "10.5 mS/cm**2", "E_L": [-65, -60] * brian2.mV},
            initial={"v_s": -60 * brian2.mV},
            threshold="v_s > -25*mV",
            refractory="2 ms",
            reset="v_s = E_L",
            method="euler",
            dt="5 us",
        )
        assert new.parameters["g_c"].value == 105 * brian2.siemens / brian2.meter**2
        assert new.parameters["g_c"].text == "10.5 mS/cm**2"
        assert new.parameters["g_c"].doc == kw.parameters["g_c"].doc
        assert new.parameters["E_L"].text == "[-65, -60] mV"
        assert new.initial["v_s"] == -60 * brian2.mV and new.initial["v_d"] == -65 * brian2.mV
        assert (new.threshold.text, new.refractory) == ("v_s > -25*mV", 2 * brian2.ms)
        assert [s.text for s in new.reset] == ["v_s = E_L"]
        assert (new.method, new.dt) == ("euler", 5 * brian2.us)
        assert kw.hash == before and kw.threshold.text == "v_s > -20*mV"

    def test_an_empty_text_takes_away(self, kw):
        bare = kw.with_(threshold="", refractory="", reset="")
        assert (bare.threshold, bare.refractory, bare.reset) == (None, None, ())

    def test_a_model_cannot_be_changed_in_place(self, kw):
        with pytest.raises(dataclasses.FrozenInstanceError):
            kw.method = "euler"
        with pytest.raises(TypeError):
            kw.parameters["g_c"] = None

    @pytest.mark.parametrize(
        "change",
        [
            {"parameters": {"g_c": "1.0000001 mS/cm**2"}},
            {"parameters": {"g_c": "[1, 1] mS/cm**2"}},
            {"initial": {"q": "1e-12"}},
            {"threshold": "v_s > -25*mV"},
            {"threshold": ""},
            {"refractory": "v_s > -25*mV"},
            {"refractory": "3 ms"},
            {"refractory": "4 ms"},
            {"reset": "v_s = E_L"},
            {"variant": "printed_nap"},
            {"variant": "printed_link"},
            {},
        ],
        ids=str,
    )
    def test_the_hash_is_of_text_and_values(self, kw, change):
        others = [
            kw.with_(),
            kw.with_(refractory="3 ms"),
            kw.with_(parameters={"g_c": "1.5 mS/cm**2"}),
        ]
        new = kw.with_(**change)
        same = [other.hash == new.hash for other in others]
        assert same == [change == {}, change == {"refractory": "3 ms"}, False]
        assert new.hash == kw.with_(**change).hash

    def test_the_hash_does_not_depend_on_how_a_value_is_written_or_named(self, kw):
        assert kw.hash == kw.with_(parameters={"g_c": "0.001 S/cm**2"}).hash
        assert kw.hash == kw.with_(parameters={"g_c": 10 * brian2.siemens / brian2.meter**2}).hash
        assert kw.hash == dataclasses.replace(kw, name="other", title="other", source="other").hash

    def test_inputs_and_output_are_part_of_the_hash(self, tmp_path):
        text = (shelves.shelf("models") / "two_compartment.toml").read_text()
        text = text.replace('"""\n\n[parameters]', 'D = int(U_D > 1)\n"""\n\n[parameters]')
        swapped = text.replace(
            '{ dendrite = "I", soma = "I_s" }', '{ dendrite = "I_s", soma = "I" }'
        )
        other = text.replace('output      = "S"', 'output      = "D"')
        hashes = []
        for k, version in enumerate((text, swapped, other)):
            (tmp_path / f"{k}.toml").write_text(version)
            hashes.append(ds.load_model(tmp_path / f"{k}.toml").hash)
        assert len(set(hashes)) == 3


CONTINUOUS_TABLE = {
    "title": "x", "kind": "continuous", "inputs": {"soma": "I"}, "potentials": {"soma": "v"},
    "equations": "dv/dt = (-v + I)/tau : 1\nI : 1", "threshold": "v > 0.5", "method": "euler",
    "dt": "1 ms", "parameters": {"tau": "10 ms"}, "initial": {"v": "0"},
}  # fmt: skip
DISCRETE_TABLE = {
    "title": "x", "kind": "discrete", "inputs": ["I"], "output": "S", "dt": "1 ms",
    "update": "U = b*U + I\nS = int(U > 1)", "parameters": {"b": "0.5"},
}  # fmt: skip


def make(base, **changes):
    from dendrosim.model.toml import model_from_table

    merged = {key: value for key, value in {**base, **changes}.items() if value is not None}
    return model_from_table(merged, "mine.toml", "mine")


def test_the_tables_below_are_models_but_for_their_change():
    assert make(CONTINUOUS_TABLE).states == ("v",)
    assert make(DISCRETE_TABLE).states == ("U", "S")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"title": None}, "'title' is missing"),
        ({"inputs": None}, "'inputs' is missing"),
        ({"equations": None}, "'equations' is missing"),
        ({"kind": None}, "kind = ''; valid: continuous, discrete"),
        ({"kind": "Continuous"}, "valid: continuous, discrete"),
        ({"kind": ["continuous"]}, "kind = ['continuous'] should be text"),
        ({"equation": "x"}, "unknown key 'equation'; did you mean 'equations'?"),
        ({"output": "v"}, "a continuous model has no key 'output'"),
        ({"update": "v = 1"}, "a continuous model has no key 'update'"),
        ({"derived": {"a": "1"}}, "no key 'derived'"),
        ({"equations": "I : 1"}, "no differential equation"),
        ({"equations": "dv/dt = (-v + I)/tau : 1\nI : 1\nJ : 1"}, "J has neither a value"),
        ({"inputs": {"soma": "v"}}, "I has neither a value"),
        ({"inputs": {"soma": "I", "dendrite": "J"}}, "inputs.dendrite = 'J' is not a line"),
        ({"inputs": {"soma": "I", "dendrite": "I"}}, "inputs: the variable I is given twice"),
        ({"inputs": [["I"]]}, "does not name a variable"),
        ({"inputs": {"a b": "I"}}, "a b = 'I' does not name a variable"),
        ({"inputs": {"soma": 1}}, "soma = 1 does not name a variable"),
        ({"potentials": {"soma": "w"}}, "potentials.soma = 'w' is not a state"),
        ({"areas": {"soma": "0.5"}}, "areas.soma: no current density enters there"),
        (
            {
                "equations": "dv/dt = I/tau : amp\nI : amp",
                "threshold": "",
                "initial": {"v": "0 pA"},
            },
            "potentials.soma = 'v' is in amp; a potential is in volt",
        ),
        ({"initial": {}}, "[initial] lacks v"),
        ({"initial": {"v": "0", "w": "0"}}, "initial.w is not a state"),
        ({"initial": {"v": "1 mV"}}, "initial.v"),
        ({"initial": {"v": float("nan")}}, "initial.v: nan is not finite"),
        ({"parameters": {}}, "'tau' in '(-v+I)/tau' is not known".replace("-v+I", "-v + I")),
        ({"parameters": {"tau": "10"}}, "equation of v"),
        ({"parameters": {"tau": True}}, "parameters.tau: value = True should be text"),
        ({"parameters": {"tau": [1]}}, "parameters.tau: value = [1] should be text"),
        ({"parameters": {"tau": {}}}, "parameters.tau: the key 'value' is missing"),
        ({"parameters": {"tau": {"value": "1 ms", "unit": "ms"}}}, "unknown key 'unit'"),
        ({"parameters": {"tau": {"value": "1 ms", "shape": "x"}}}, "valid: layer, neuron"),
        ({"parameters": {"tau": "1 ms", "v": "1"}}, "'v' cannot be the name of a parameter"),
        ({"parameters": {"tau": "1 ms", "I": "1"}}, "'I' cannot be the name of a parameter"),
        ({"parameters": {"tau": "1 ms", "new": "1"}}, "'new' cannot be the name of a parameter"),
        ({"parameters": {"tau": "1 ms", "mV": "1"}}, "'mV' cannot be the name of a parameter"),
        ({"threshold": "v"}, "'v' is a number, not a condition"),
        ({"threshold": "v > 1*mV"}, "threshold: Comparison"),
        ({"threshold": "w > 1"}, "threshold: 'w'"),
        ({"refractory": "v"}, "neither a condition nor a time"),
        ({"refractory": "5 mV"}, "refractory"),
        ({"refractory": "-5 ms"}, "below 0"),
        ({"reset": "v = 0", "threshold": None}, "'reset' needs the key 'threshold'"),
        ({"reset": "I = 0"}, "reset of I: not a state"),
        ({"reset": "v = 1*mV"}, "has another unit"),
        ({"reset": "v"}, "is not an assignment"),
        ({"dt": "0 ms"}, "not a time above 0"),
        ({"dt": "[1, 2] ms"}, "not a time above 0"),
        ({"variants": {"a": 1}}, "variants.a: 1 is not a table"),
        ({"variants": {"a": {"update": "v = 1"}}}, "variants.a: unknown key 'update'"),
        ({"variants": {"a": {"equations": "x"}}}, "variants.a, equations"),
        ({"variants": {"a": {"equations": "I = 3 : 1"}}}, "inputs.soma = 'I' is not a line"),
        ({"variants": {"a": {"parameters": {"x": "1"}}}}, "parameters.x is not a parameter"),
    ],
    ids=str,
)
def test_a_wrong_continuous_model_is_told(changes, told):
    with pytest.raises(DendrosimError, match=re.escape(told)) as error:
        make(CONTINUOUS_TABLE, **changes)
    assert str(error.value).startswith("mine.toml")


SCALED = {"voltage": "1 mV", "current": {"I": {"soma": "1 meter**2/amp"}}}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"update": "U = b*U + I"}, "output = 'S' is not assigned in update"),
        ({"output": None}, "output = None is not assigned"),
        ({"update": "U = x\nS = int(U > 1)"}, "update of U: 'x'"),
        ({"update": "U = t\nS = int(U > 1)"}, "update of U: 't'"),
        ({"update": "U = mV*I\nS = int(U > 1)"}, "update of U: 'mV'"),
        ({"update": "I = 1\nS = int(I > 1)"}, "update assigns to 'I', an input"),
        ({"update": "b = 1\nS = int(I > b)"}, "'b' cannot be the name of a parameter"),
        ({"update": "S = I > 1"}, "'I > 1' is a condition, not a number"),
        ({"update": "S = b*S + I"}, "so it has to be 0 or 1: int(...) of a condition"),
        ({"update": "S = int(I > 1) + int(I > 2)"}, "so it has to be 0 or 1"),
        ({"update": "S = int(I > 1) - int(I < -1)"}, "so it has to be 0 or 1"),
        ({"update": "S = 2*int(I > 1)"}, "so it has to be 0 or 1"),
        ({"threshold": "U > 1"}, "a discrete model has no key 'threshold'"),
        ({"parameters": {"b": "1 mV"}}, "a discrete model is dimensionless"),
        ({"parameters": {"b": "1", "I": "1"}}, "'I' cannot be the name of a parameter"),
        ({"derived": {"I": "1"}}, "derived.I cannot be the name"),
        ({"derived": {"b": "1"}}, "derived.b cannot be the name"),
        ({"derived": {"c": "a", "a": "b"}}, "derived.c: 'a'"),
        ({"derived": {"c": "b > 1"}}, "is a condition"),
        ({"derived": {"c": 1}}, "derived.c: 1 is not an expression"),
        ({"derived": {"c": "9**9**9**9"}}, "out of range"),
        ({"variants": {"a": {"update": "Z = 1"}}}, "the model does not assign Z"),
        ({"variants": {"a": {"derived": {"Z": "1"}}}}, "the model does not derive Z"),
        ({"variants": {"a": {"equations": "Z = 1 : 1"}}}, "unknown key 'equations'"),
        ({"areas": {"soma": "0.5"}}, "areas.soma: no current density enters there"),
        ({"scales": SCALED, "areas": {"dendrite": "b"}}, "areas.dendrite: no current density"),
        ({"scales": SCALED, "areas": {"soma": "x"}}, "areas.soma: 'x'"),
        ({"scales": SCALED, "areas": {"soma": "b > 1"}}, "areas.soma: 'b > 1' is a condition"),
        ({"scales": SCALED, "areas": {"soma": "3*b"}}, "is 1.5, not a share of the cell"),
        ({"scales": {}}, "scales.voltage"),
        ({"scales": SCALED, "dt": None}, "needs the key 'dt'"),
        ({"scales": {**SCALED, "rest": {"X": "1 mV"}}}, "scales.rest.X is not known"),
        ({"scales": {**SCALED, "voltage": "[1, 2] mV"}}, "cannot be a grid"),
        ({"scales": {**SCALED, "current": {"I": 1}}}, "should be a table"),
        ({"scales": {**SCALED, "current": {"J": {}}}}, "scales.current.J is not known"),
        (
            {"scales": {**SCALED, "current": {"I": {"a : 1\nb": "1 meter**2/amp"}}}},
            "is not a place",
        ),
    ],
    ids=str,
)
def test_a_wrong_discrete_model_is_told(changes, told):
    with pytest.raises(DendrosimError, match=re.escape(told)) as error:
        make(DISCRETE_TABLE, **changes)
    assert str(error.value).startswith("mine.toml")


def test_a_share_of_the_membrane_follows_the_parameters_and_is_told_where_it_is_none():
    kw = ds.load_model("kepecs_wang_2000")
    shares = kw.with_(parameters={"p": "[0.2, 0.3]"}).shares()
    assert_allclose([shares["soma"], shares["dendrite"]], [[0.2, 0.3], [0.8, 0.7]])
    with pytest.raises(DendrosimError, match=r"areas\.dendrite = '1 - p' is 0\.0, not a share"):
        kw.with_(parameters={"p": "1"})
    with pytest.raises(DendrosimError, match=r"areas\.soma: 'g_c' is not a plain number"):
        make(table("kepecs_wang_2000"), areas={"soma": "g_c"})


def test_a_derived_value_that_is_not_finite_is_told():
    for text in ("1/(b - 0.5)", "log(-b)", "(-b)**0.5", "exp(2000*b)"):
        model = make(DISCRETE_TABLE, derived={"c": text})
        with pytest.raises(DendrosimError, match=r"derived c: .* is not finite"):
            model.values()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"parameters": "g_c"}, "should map names to values"),
        ({"parameters": {"g_d": "1 mS/cm**2"}}, "parameters.g_d is not a parameter"),
        ({"parameters": {1: "1"}}, "parameters.1 is not a parameter"),
        ({"parameters": {"g_c": "1 mV"}}, "parameters.g_c"),
        ({"parameters": {"g_c": None}}, "parameters.g_c: None"),
        ({"initial": [1]}, "should map names to values"),
        ({"initial": {"m": "0"}}, "initial.m is not a state"),
        ({"threshold": 5}, "threshold: 5"),
        ({"threshold": "__import__('os')"}, "__import__"),
        ({"refractory": [1, 2]}, "refractory"),
        ({"reset": "I_s = 0*amp"}, "reset of I_s"),
        ({"dt": 5}, "dt: 5 has no unit"),
        ({"dt": "-1 ms"}, "not a time above 0"),
        ({"variant": "none"}, "has no variant 'none'; valid: passive"),
        ({"variant": ["a"]}, "has no variant ['a']"),
        ({"variant": ""}, "has no variant ''"),
    ],
    ids=str,
)
def test_a_wrong_change_is_told(kw, change, told):
    with pytest.raises(DendrosimError, match=re.escape(told)) as error:
        kw.with_(**change)
    assert "kepecs_wang_2000.toml" in str(error.value)


@pytest.mark.parametrize("key", ["threshold", "refractory", "reset", "method"])
def test_a_discrete_model_has_none_of_these(key):
    with pytest.raises(DendrosimError, match=f"a discrete model has no {key}"):
        ds.load_model("lif").with_(**{key: "x"})
