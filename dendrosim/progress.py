"""A bar on the terminal while something long runs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from dendrosim import checks


def on_terminal() -> bool:
    """Return whether standard error is a terminal; a daemon may have none at all."""
    return sys.stderr is not None and sys.stderr.isatty()


@contextlib.contextmanager
def progress_bar(show: bool | None, what: str) -> Iterator[Callable[[float], None] | None]:
    """Show a bar on a terminal while something runs.

    Parameters
    ----------
    show
        Whether to show it; None shows it where standard error is a terminal.
    what
        What runs.

    Raises
    ------
    DendrosimError
        If `show` is something else.

    Yields
    ------
    callable or None
        To be called with the finished fraction; None where nothing is shown.
    """
    if not (on_terminal() if show is None else checks.flag(show, "progress")):
        yield None
        return
    from tqdm import tqdm

    form = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    with tqdm(total=1.0, desc=what, leave=False, bar_format=form) as bar:
        yield lambda fraction: bar.update(fraction - bar.n)
