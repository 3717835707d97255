"""TOML that is written again means what was read, whatever its keys and values."""

from __future__ import annotations

import math
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dendrosim import learn
from dendrosim.errors import DendrosimError
from dendrosim.learn.tasks import load_task
from dendrosim.shelves import shelf, toml_text

_TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)
_VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | _TEXT
    | st.dates() | st.datetimes() | st.times(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(st.dictionaries(_TEXT, _VALUES, max_size=5))
def test_a_table_comes_back(table):
    assert tomllib.loads(toml_text(table)) == table


def test_what_is_not_finite_comes_back():
    back = tomllib.loads(toml_text({"a": [math.inf, -math.inf, math.nan]}))["a"]
    assert back[:2] == [math.inf, -math.inf] and math.isnan(back[2])


LINES = ['"a b" = 1', '"" = 1', '"é.x" = 1', "seed = 1979-05-27", "epochs = 07:32:00"]


@pytest.mark.parametrize("line", LINES)
def test_training_with_a_strange_key_or_a_date_is_refused(line, tmp_path):
    path = tmp_path / "own.toml"
    text = (shelf("recipes") / "binary_adding_lif.toml").read_text()
    path.write_text(text.replace("[training]", f"[training]\n{line}", 1))
    with pytest.raises(DendrosimError, match=r"own\.toml"):
        learn.load_recipe(path)


@pytest.mark.parametrize("line", [*LINES, "steps = 1979-05-27T07:32:00"])
def test_a_task_with_a_strange_key_or_a_date_keeps_it_and_is_refused(line, tmp_path):
    path = tmp_path / "own.toml"
    text = (shelf("recipes") / "binary_adding_lif.toml").read_text().replace("steps = 100\n", "")
    path.write_text(text.replace("[task]", f"[task]\n{line}", 1))
    recipe = learn.load_recipe(path)
    again = learn.load_recipe(recipe)
    assert again.text == recipe.text and again.task_options == recipe.task_options
    with pytest.raises(DendrosimError):
        load_task(recipe.task, **recipe.task_options)


def test_a_recipe_does_not_say_where_data_lie(tmp_path):
    path = tmp_path / "own.toml"
    text = (shelf("recipes") / "binary_adding_lif.toml").read_text()
    path.write_text(text.replace("[task]", "[task]\ndata = 'here'", 1))
    with pytest.raises(
        DendrosimError, match=r"key 'data'; give the location of the files with --data"
    ):
        learn.load_recipe(path)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30, 10**400])
def test_a_whole_number_of_more_than_64_bits_is_refused(number, tmp_path):
    path = tmp_path / "own.toml"
    text = (shelf("recipes") / "binary_adding_lif.toml").read_text()
    path.write_text(text.replace("[training]", f"[training]\nown = [{number}]", 1))
    with pytest.raises(DendrosimError, match="more than 64 bits"):
        learn.load_recipe(path)
    for value in (number, f"[[{number}]]", f"{{a = {number}}}"):
        with pytest.raises(DendrosimError, match="more than 64 bits"):
            learn.load_recipe("binary_adding_lif", [f"training.lr={value}"])


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 5000, "[" * 40 + "]" * 40])
def test_a_setting_that_is_too_long_or_too_deep_is_refused(value):
    with pytest.raises(DendrosimError):
        learn.load_recipe("binary_adding_lif", [f"training.lr={value}"])
