"""What dendrosim says when something is wrong: one sentence, never a traceback for a user."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from typing import Any

MAX_MESSAGE = 600


class DendrosimError(ValueError):
    """Bad input, told in one sentence that names the file, the key, the value and what is valid.

    The sentence is one line of printable characters; a long value is cut in its middle.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(_one_line(str(message)))


def _one_line(text: str) -> str:
    if len(text) > MAX_MESSAGE:
        text = f"{text[: MAX_MESSAGE // 2]} ... {text[-MAX_MESSAGE // 2 :]}"
    flat = " ".join(text.split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in flat)


def not_a_bug_of_brian2() -> None:
    """Let Brian2 not ask for a report where a script ends with a `DendrosimError`.

    Its hook for uncaught exceptions calls every one an error of its own; one of another program,
    such as IPython's, stays as it is.
    """
    hook = sys.excepthook
    if getattr(hook, "__module__", None) != "brian2.utils.logger":
        return

    def told(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        shown = sys.__excepthook__ if issubclass(kind, DendrosimError) else hook
        shown(kind, error, trace)

    sys.excepthook = told


class DivergenceError(DendrosimError):
    """A run whose state has diverged: it is not finite, or beyond any that can be meant."""


class DendrosimWarning(UserWarning):
    """What was done, and what in it is doubtful: told, and no reason to stop."""


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return the end of a sentence: the nearest valid name, or all of them.

    Parameters
    ----------
    name
        What was asked for.
    valid
        What exists.

    Returns
    -------
    str
        ``"did you mean 'x'?"`` where one name is close, else ``"valid: a, b, c"``.
    """
    valid = sorted(map(str, valid))
    close = difflib.get_close_matches(str(name), valid, n=1, cutoff=0.75)
    if close:
        return f"did you mean {close[0]!r}?"
    return "valid: " + ", ".join(valid) if valid else "none exist here"
