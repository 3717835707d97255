"""Errors and warnings of dendrosim: one sentence each, without a traceback for the user."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

MAX_MESSAGE = 600


class DendrosimError(ValueError):
    """Invalid input: one sentence with the file, the key, the value and the valid values.

    The message is one line of printable characters; a long value is shortened in the middle.  The
    code that finds an error does not know the file; `at` adds it.
    """

    def __init__(self, message: object = "") -> None:
        self._whole = str(message)
        super().__init__(_one_line(self._whole))

    def add_place(self, place: str) -> None:
        """Put a place before the message, unless the message already starts with it."""
        if not self._whole.startswith(f"{place}: "):
            self._whole = f"{place}: {self._whole}"
            self.args = (_one_line(self._whole),)


@contextmanager
def at(place: str) -> Iterator[None]:
    """Add a place, which is a file or a key, to an error that is raised inside.

    Examples
    --------
    >>> with at("model.toml"), at("parameters.g_L"):
    ...     raise DendrosimError("5 has no unit")
    Traceback (most recent call last):
    dendrosim.errors.DendrosimError: model.toml: parameters.g_L: 5 has no unit
    """
    try:
        yield
    except DendrosimError as error:
        error.add_place(place)
        raise


def _one_line(text: str) -> str:
    if len(text) > MAX_MESSAGE:
        text = f"{text[: MAX_MESSAGE // 2]} ... {text[-MAX_MESSAGE // 2 :]}"
    flat = " ".join(text.split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in flat)


def not_a_bug_of_brian2() -> None:
    """Prevent Brian2 from asking for a bug report when a script ends with a `DendrosimError`.

    Brian2's hook reports every uncaught exception as an error of Brian2.  Hooks of other programs,
    such as IPython, are not changed.
    """
    hook = sys.excepthook
    if getattr(hook, "__module__", None) != "brian2.utils.logger":
        return

    def told(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        shown = sys.__excepthook__ if issubclass(kind, DendrosimError) else hook
        shown(kind, error, trace)

    sys.excepthook = told


class DivergenceError(DendrosimError):
    """The state of a run has diverged: it is not finite, or larger than any meaningful value."""


class DendrosimWarning(UserWarning):
    """A doubtful result or action that does not stop the run."""


def did_you_mean(name: str, valid: Iterable[str], otherwise: str = "") -> str:
    """Return the end of an error message: the nearest valid name, or all valid names.

    Parameters
    ----------
    name
        The requested name.
    valid
        The existing names.
    otherwise
        The end if no name is close, for a long list; by default all valid names.

    Returns
    -------
    str
        ``"did you mean 'x'?"`` if one name is close, otherwise ``"valid: a, b, c"``.
    """
    valid = sorted(map(str, valid))
    other_case = [one for one in valid if one.lower() == str(name).lower()]
    close = other_case or difflib.get_close_matches(str(name), valid, n=1, cutoff=0.75)
    if close:
        return f"did you mean {close[0]!r}?"
    if otherwise:
        return otherwise
    return "valid: " + ", ".join(valid) if valid else "none exist here"
