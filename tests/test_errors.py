"""Errors: one line each, and `at` adds the file and the key to what is raised inside."""

from __future__ import annotations

import copy
import pickle
import traceback

import pytest

import dendrosim as ds
from dendrosim.errors import MAX_MESSAGE, DendrosimError, DivergenceError, at
from dendrosim.learn.training.recipe import load_recipe
from dendrosim.model.quantities import quantity


def raised(sentence, *places, kind=DendrosimError):
    """Return the error with this sentence after it has passed the places, the innermost last."""
    if not places:
        return kind(sentence)
    with pytest.raises(kind) as caught, at(places[0]):
        raise raised(sentence, *places[1:], kind=kind)
    return caught.value


@pytest.mark.parametrize(
    ("sentence", "places", "message"),
    [
        ("'x' is not a unit", (), "'x' is not a unit"),
        ("'x' is not a unit", ("a.toml",), "a.toml: 'x' is not a unit"),
        ("no value", ("a.toml", "scales.rest.U"), "a.toml: scales.rest.U: no value"),
        ("dt = 5 should be text", ("a.toml",), "a.toml: dt = 5 should be text"),
        (" is not a key", ("a.toml",), "a.toml: is not a key"),
        ("no value", ("a.toml", "a.toml", "dt"), "a.toml: dt: no value"),  # once is enough
        ("a.toml: dt: no value", ("a.toml",), "a.toml: dt: no value"),
        ("no value", ("b.toml", "layers.0", "a.toml"), "b.toml: layers.0: a.toml: no value"),
        ("no value", ("a.toml", "a"), "a.toml: a: no value"),
    ],
)
def test_places_come_before_the_sentence(sentence, places, message):
    assert str(raised(sentence, *places)) == message


def test_it_is_the_same_error_with_its_traceback():
    error = DivergenceError("v is not finite")
    with pytest.raises(DivergenceError, match=r"^lif: v is not finite$") as caught, at("lif"):
        raise error
    assert caught.value is error
    assert "raise error" in "".join(traceback.format_exception(caught.value))


def test_other_errors_pass_unchanged():
    with pytest.raises(ValueError, match=r"^no place$"), at("a.toml"):
        raise ValueError("no place")
    with at("a.toml"):
        pass


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
@pytest.mark.parametrize("kind", [DendrosimError, DivergenceError])
def test_a_copy_in_another_process_takes_further_places(kind, copied):
    error = copied(raised("5 is no time", "dt", kind=kind))
    assert type(error) is kind
    assert str(error) == "dt: 5 is no time"
    for _ in range(2):
        error.add_place("a.toml")
    assert str(error) == "a.toml: dt: 5 is no time"


def test_the_whole_message_is_shortened_not_each_part():
    error = raised("x" * 700, "a.toml", "key\n")
    assert str(error).startswith("a.toml: key : xxx")
    assert " ... " in str(error)
    assert len(str(error)) <= MAX_MESSAGE + len(" ... ")
    long = raised("the end", "a" * 700)
    assert str(long).startswith("aaa")
    assert str(long).endswith("a: the end")
    assert str(raised("a\x00b", "c\td")) == r"c d: a\x00b"


def test_a_model_that_a_recipe_names_keeps_its_own_file_only(tmp_path):
    recipe = load_recipe("binary_adding_lif")
    path = tmp_path / "broken.toml"
    path.write_text("kind = 'discrete'\n")
    with pytest.raises(DendrosimError) as caught:
        load_recipe(recipe, [f"layers.model='{path}'"])
    assert str(caught.value).startswith(f"{path}: ")


def test_a_changed_value_of_a_model_has_its_file_once():
    model = ds.load_model("lif")
    with pytest.raises(DendrosimError) as caught:
        model.with_(parameters={"beta": "0.5 mV"})
    assert str(caught.value).startswith(f"{model.source}: parameters.beta: '0.5 mV' has")
    with pytest.raises(DendrosimError, match=r"^value: 'x' is not a number with a unit"):
        quantity("x")
