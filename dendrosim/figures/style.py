"""The style of all figures: colours, markers, units and printed names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from dendrosim.errors import DendrosimError
from dendrosim.files import path_text, replacing

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

#: Colours for all kinds of colour vision (Okabe & Ito 2008); black is for the recorded cell.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
REAL, GREY, FAINT = "#000000", "#6b6b6b", "#d0d0d0"
MARKERS = ("o", "s", "^", "D", "v", "P")


def look(k: int) -> dict[str, Any]:
    """Return colour and marker of the k-th model."""
    colour = COLOURS[k % len(COLOURS)]
    return {"color": colour, "marker": MARKERS[k % len(MARKERS)], "ms": 3.0, "mew": 0.8,
            "mfc": colour if k < len(COLOURS) else "white"}  # fmt: skip


def pretty(unit: str) -> str:
    """Return a unit in printed form.

    >>> pretty("uA/cm**2"), pretty("kohm*cm**2"), pretty("1")
    ('µA/cm²', 'kΩ cm²', '')
    """
    for plain, printed in (("**2", "²"), ("**3", "³"), ("ohm", "Ω"), ("*", " "), ("uA", "µA")):
        unit = unit.replace(plain, printed)
    return "" if unit == "1" else unit


def short(name: str, most: int = 34) -> str:
    """Return a name shortened to fit into a heading."""
    return name if len(name) <= most else f"{name[: most // 2 - 1]} … {name[-(most // 2 - 2) :]}"


def literal(text: str) -> str:
    r"""Return a text that a figure shows literally: ``$`` does not start a formula.

    >>> print(literal("$1 to $2"))
    \$1 to \$2
    """
    return text.encode("utf-8", "replace").decode().replace("$", r"\$")


def entry(name: str) -> str:
    """Return a name as a legend entry; matplotlib omits entries that start with an underscore."""
    shown = literal(short(name))
    return f" {shown}" if shown.startswith("_") else shown


def plain_ticks(panel: Any, axis: str, low: float, high: float, *, log: bool) -> None:
    """Label the ticks of an axis with plain numbers, also of a logarithmic axis.

    Parameters
    ----------
    panel
        Axes of matplotlib.
    axis
        ``"x"`` or ``"y"``.
    low, high
        What the axis shows, about: a logarithmic one has ticks at 1, 2 and 5 in up to two decades.
    log
        Whether the axis is logarithmic.
    """
    from matplotlib.ticker import LogLocator, NullLocator

    own = getattr(panel, f"{axis}axis")
    if log:
        panel.set(**{f"{axis}scale": "log"})
        own.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
        own.set_minor_locator(NullLocator())
    else:
        panel.locator_params(axis=axis, nbins=4)
    own.set_major_formatter(lambda value, _: f"{value:.6g}".replace("-", "\u2212"))


#: Matplotlib settings of all figures.
STYLE: dict[RcKeyType, Any] = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9,
    "axes.titlesize": 9.5, "axes.titlelocation": "left", "axes.titlepad": 7,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.8,
    "axes.edgecolor": "#404040", "axes.labelcolor": "#202020", "axes.labelsize": 9,
    "xtick.color": "#404040", "ytick.color": "#404040", "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5, "xtick.major.width": 0.8, "ytick.major.width": 0.8,
    "lines.linewidth": 1.1, "legend.frameon": False, "legend.fontsize": 8.5,
    "text.color": "#202020", "figure.facecolor": "white", "savefig.facecolor": "white",
    "axes.unicode_minus": True, "axes.formatter.useoffset": False, "axes.grid": False,
    "text.usetex": False,
    "path.simplify_threshold": 0.3,
}  # fmt: skip


def save_figure(figure: Figure, path: str | os.PathLike) -> None:
    """Write a figure atomically; the ending of the path sets the format.

    Raises
    ------
    DendrosimError
        If the folder is not writable or the ending is not an image format.
    """
    endings = figure.canvas.get_supported_filetypes()
    path = path_text(path, "figure")
    ending = os.path.splitext(path)[1][1:].lower()  # noqa: PTH122 (a str)
    if ending not in endings:
        raise DendrosimError(
            f"{path}: {ending!r} is not the ending of a figure; valid: {', '.join(sorted(endings))}"
        )
    with replacing(path) as temporary:
        figure.savefig(temporary, format=ending, dpi=150)
