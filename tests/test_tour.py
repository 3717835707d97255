"""The tour of the code: its table of rooms, its paths, and the picture of the house."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
import test_layers as law
from places import ROOT

TOUR = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")


def line_of(room):
    """Return the first line of what a room says of itself."""
    path = law.PACKAGE / Path(*room.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).partition("\n")[0]


def test_the_tour_lists_every_room_on_its_floor():
    wanted = [
        f"| {floor} | `{name}` | {line_of(name)} |"
        for floor, names in reversed([*enumerate(law.FLOORS, 1)])
        for name in names
    ]
    found = [line for line in TOUR.splitlines() if re.match(r"\| \d+ \| `", line)]
    assert found == wanted, "\n".join(["the table of docs/tour.md should be:", *wanted])
    ground = next(k for k, names in enumerate(law.FLOORS) if "model" in names)
    assert f"Floors 1 to {ground} are the ground." in TOUR


def test_where_to_look_is_there():
    places = TOUR.partition("## Where to look")[2].partition("\n\nMost rooms")[0]
    paths = re.findall(r"`([a-z_]+/[a-z_/.]*)`", places)
    assert len(paths) > 12
    assert [path for path in paths if not (law.PACKAGE / path).exists()] == []


@pytest.fixture
def house(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    import house

    return house


def test_every_room_above_the_ground_has_one_family(house):
    above = [name for floor in house.floors()[1] for name in floor]
    assert {house._family(name) for name in above} == {*house.FAMILIES}
    assert house._family("sweeps") == house._family("fitting") == house._family("comparison")
    assert house._family("learn.step") == "learn"
    named = [name for names in house.FAMILIES.values() for name in names]
    assert sorted(named) == sorted({name.partition(".")[0] for name in above})
    with pytest.raises(ValueError, match=r"add 'attic' to .*FAMILIES in docs/_ext/house.py"):
        house._family("attic")


@pytest.mark.parametrize(("rooms", "columns"), [(3, 5), (6, 6), (7, 7)])
def test_a_floor_has_room_for_any_number_of_rooms(house, rooms, columns):
    above = [["model"], [f"room_{k}" for k in range(rooms)]]
    spots = house.arranged(above, {name: {"model"} for name in above[1]} | {"model": set()})
    assert house.columns_of(above) == columns
    taken = [column for column, floor in spots.values() if floor == 1]
    assert len(set(taken)) == rooms and np.ptp([*taken, columns - 1, 0]) == columns - 1
