"""A progress bar on the terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from dendrosim import checks


def on_terminal() -> bool:
    """Return whether standard error is a terminal; a daemon may have no standard error."""
    return sys.stderr is not None and sys.stderr.isatty()


@contextlib.contextmanager
def progress_bar(show: bool | None, what: str) -> Iterator[Callable[[float], None] | None]:
    """Show a progress bar on a terminal.

    Parameters
    ----------
    show
        Whether to show it; None shows it if standard error is a terminal.
    what
        Name of the task.

    Raises
    ------
    DendrosimError
        If `show` is not a truth value or None.

    Yields
    ------
    callable or None
        Call it with the finished fraction; None if no bar is shown.
    """
    with staged_bar(show, what) as tell:
        yield None if tell is None else lambda fraction: tell(fraction, "")


@contextlib.contextmanager
def staged_bar(show: bool | None, what: str) -> Iterator[Callable[[float, str], None] | None]:
    """Show a progress bar that also says which stage of the task is running.

    Parameters
    ----------
    show, what
        As in `progress_bar`.

    Yields
    ------
    callable or None
        Call it with the finished fraction and the name of the stage, "" for none; None if no bar is
        shown.
    """
    if not (on_terminal() if show is None else checks.flag(show, "progress")):
        yield None
        return
    from tqdm import tqdm

    form = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    with tqdm(total=1.0, desc=what, leave=False, bar_format=form) as bar:

        def tell(fraction: float, stage: str) -> None:
            bar.set_description_str(f"{what}, {stage}" if stage else what, refresh=False)
            bar.update(fraction - bar.n)

        yield tell


@contextlib.contextmanager
def points_bar(
    show: bool | None, what: str, total: int, done: int = 0
) -> Iterator[Callable[[int], None]]:
    """Show a progress bar of points, with their rate and the time left.

    Parameters
    ----------
    show, what
        As in `progress_bar`.
    total, done
        Number of points, and of those finished before.

    Yields
    ------
    callable
        Call it with the number of newly finished points.
    """
    if not (on_terminal() if show is None else checks.flag(show, "progress")):
        yield lambda points: None
        return
    from tqdm import tqdm

    with tqdm(total=total, initial=done, desc=what, unit=" points", leave=False) as bar:
        yield lambda points: bar.update(points)
