"""What dendrosim says when something is wrong: one sentence, never a traceback for a user."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DendrosimError(ValueError):
    """Bad input, told in one sentence that names the file, the key, the value and what is valid."""


class DivergenceError(DendrosimError):
    """A run whose state is no longer finite."""


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
