"""The picture of the tour: the rooms of the package by floor, and who uses whom, from the imports.

The floors are those of `tests/test_layers.py`, whose tests hold the package to them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np
from generated import ROOT
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from dendrosim.figures import COLOURS, STYLE
from dendrosim.figures.style import GREY

sys.path.append(str(ROOT / "tests"))
import test_layers as law

#: Columns of the picture, unless a floor has more rooms.
COLUMNS = 5
#: The size of a box, where a column and a floor are 1.
WIDE, TALL = 0.84, 0.46
#: The room that a floor has to have to stand above the ground.
FIRST_ABOVE_GROUND = "model"
#: Rooms of one colour, above the ground; `learn` stands for all rooms of the folder `learn`.
FAMILIES = {
    "describe and run":
        ["model", "integrators", "current_clamp", "devices", "simulation", "networks"],
    "measure and compare":
        ["measures", "energy", "figures", "reduction", "comparison", "sweeps", "fitting",
         "verification", "papers", "cli"],
    "learn": ["learn"],
}  # fmt: skip
TINTS = dict(zip(FAMILIES, (COLOURS[0], COLOURS[1], COLOURS[2]), strict=True))

Arrows = dict[str, set[str]]
Spots = dict[str, tuple[int, int]]


def write(folder: Path) -> None:
    """Write the picture."""
    figure().savefig(folder / "house.png", dpi=150)


def floors() -> tuple[list[str], list[list[str]]]:
    """Return the rooms of the ground, and those of each floor above it, the lowest first."""
    first = next(k for k, names in enumerate(law.FLOORS) if FIRST_ABOVE_GROUND in names)
    ground = [name for names in law.FLOORS[:first] for name in names]
    return ground, [list(names) for names in law.FLOORS[first:]]


def arrows() -> Arrows:
    """Return, for each room above the ground, the rooms above the ground that it imports."""
    known = {name for names in floors()[1] for name in names}
    found: Arrows = {name: set() for name in known}
    for one in law.imports(law.PACKAGE):
        here, there = law.room(one.module), law.room(one.target)
        if one.inside and {here, there} <= known and here != there:
            found[here].add(there)
    return found


def without_detours(found: Arrows) -> Arrows:
    """Leave out the arrows to rooms that are reached through another room as well."""
    reached: Arrows = {}

    def reach(name: str) -> set[str]:
        if name not in reached:
            reached[name] = set().union(found[name], *map(reach, found[name]))
        return reached[name]

    return {
        name: {to for to in targets if not any(to in reach(other) for other in targets - {to})}
        for name, targets in found.items()
    }


def columns_of(above: list[list[str]]) -> int:
    """Return the columns of the picture: every room of the fullest floor has one."""
    return max(COLUMNS, *map(len, above))


def arranged(above: list[list[str]], found: Arrows) -> Spots:
    """Return column and floor of each room: short arrows, none through a box, few crossings."""
    columns = columns_of(above)
    names = [name for floor in above for name in floor]
    floor = np.array([k for k, floor in enumerate(above) for _ in floor])
    lines = np.array([(names.index(a), names.index(b)) for a in found for b in sorted(found[a])])
    learns = np.array([name.startswith("learn") for name in names])
    random, best = np.random.default_rng(1), None
    for _ in range(6):
        column = np.concatenate([random.permutation(columns)[: len(rooms)] for rooms in above])
        cost = _cost(column, floor, lines, learns, columns)
        for turn in range(2500):
            trial = _moved(column, floor, random, columns)
            worse = _cost(trial, floor, lines, learns, columns) - cost
            if worse <= 0 or random.random() < np.exp(-worse * turn / 500):
                column, cost = trial, cost + worse
        if best is None or cost < best[0]:
            best = cost, column
    return {name: (int(best[1][k]), int(floor[k])) for k, name in enumerate(names)}


def _moved(
    column: np.ndarray, floor: np.ndarray, random: np.random.Generator, columns: int
) -> np.ndarray:
    """Return the columns with one room at another one, in exchange with who is there."""
    moved, one, to = column.copy(), random.integers(len(column)), random.integers(columns)
    moved[(floor == floor[one]) & (column == to)] = column[one]
    moved[one] = to
    return moved


def _cost(
    column: np.ndarray, floor: np.ndarray, lines: np.ndarray, learns: np.ndarray, columns: int
) -> float:
    (x, to_x), (y, to_y) = column[lines].T.astype(float), floor[lines].T.astype(float)
    slope = (to_x - x) / (y - to_y)
    cost = np.sum(np.abs(to_x - x) + 0.15 * (to_x - x) ** 2)
    cost += 0.2 * np.sum(np.abs(column - (columns - 1) / 2))
    cost += 0.8 * np.sum((columns - 1 - column)[learns])
    # Boxes that a line passes
    off = np.abs(x[:, None] + slope[:, None] * (y[:, None] - floor) - column)
    off = np.maximum(off - np.abs(slope[:, None]) * TALL / 2, 0)
    between = (to_y[:, None] < floor) & (floor < y[:, None])
    cost += 12 * np.sum(between * np.maximum(0, 1 - off / 0.55))
    # Lines that cross between the floors that both pass
    top, bottom = np.minimum.outer(y, y), np.maximum.outer(to_y, to_y)

    def side(at: np.ndarray) -> np.ndarray:
        one = x[:, None] + slope[:, None] * (y[:, None] - at)
        other = x[None, :] + slope[None, :] * (y[None, :] - at)
        return one - other

    crossed = (top > bottom) & (side(top - 1e-6) * side(bottom + 1e-6) < 0)
    return float(cost + 0.5 * np.sum(crossed))


def figure() -> Figure:
    """Draw the rooms as boxes by floor, with an arrow from each to those that it uses."""
    ground, above = floors()
    found = without_detours(arrows())
    spots, columns = arranged(above, found), columns_of(above)
    with matplotlib.rc_context(STYLE):
        drawn = Figure(figsize=(1.92 * columns, 0.72 * (len(above) + 2.5)))
        axes = drawn.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set(xlim=(-0.56, columns - 0.44), ylim=(-1.5, len(above) + 0.25))
        for name, targets in found.items():
            for target in targets:
                _arrow(axes, spots[name], spots[target], TINTS[_family(name)])
        for name, (column, floor) in spots.items():
            tint = TINTS[_family(name)]
            _box(axes, column, floor, WIDE, name, tint)
        middle = (columns - 1) / 2
        _box(axes, middle, -1, columns - 1 + WIDE, ", ".join(ground), GREY)
        axes.annotate("the ground: every room stands on it", (middle, -1.36), ha="center",
                      va="center", color=GREY, size=9)  # fmt: skip
        for k, (family, tint) in enumerate(TINTS.items()):
            axes.annotate(family, (1.3 * k - WIDE / 2, len(above)), color=tint, weight="bold",
                          size=10, va="center")  # fmt: skip
        return drawn


def _family(name: str) -> str:
    room = name.partition(".")[0]
    for family, names in FAMILIES.items():
        if room in names:
            return family
    raise ValueError(f"add {room!r} to a family of FAMILIES in docs/_ext/house.py")


def _box(axes: Axes, x: float, y: float, wide: float, text: str, tint: str) -> None:
    axes.add_patch(FancyBboxPatch(
        (x - wide / 2, y - TALL / 2), wide, TALL, boxstyle="round,pad=0,rounding_size=0.07",
        mutation_aspect=1.4, fc="white", ec=tint, lw=1.4, zorder=3,
    ))  # fmt: skip
    axes.annotate(text, (x, y), ha="center", va="center", color="#202020", size=10, zorder=4)


def _arrow(axes: Axes, start: tuple[int, int], end: tuple[int, int], tint: str) -> None:
    shift = 0.055 * (end[0] - start[0])
    axes.annotate(
        "", (end[0] - shift, end[1] + TALL / 2), (start[0] + shift, start[1] - TALL / 2),
        arrowprops={"arrowstyle": "-|>,head_length=0.35,head_width=0.16", "color": tint, "lw": 1.0,
                    "alpha": 0.75, "shrinkA": 0, "shrinkB": 1},
    )  # fmt: skip
