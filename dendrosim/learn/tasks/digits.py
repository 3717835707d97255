"""The 8 x 8 digits included in scikit-learn: real images for runs of about a minute."""

from __future__ import annotations

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.learn.tasks.builder import Builder, Parts, choice, whole
from dendrosim.learn.tasks.stream import Stream
from dendrosim.learn.tasks.task import Later, Stored, set_apart

SIDE, CLASSES, FULL = 8, 10, 16
#: Shape of a sample for each layout.
LAYOUTS = {"rows": (SIDE, SIDE), "pixels": (SIDE * SIDE, 1)}
#: A fifth; the same for all seeds, because the data set defines no test part.
N_TEST = 360


def make(*, data: None, seed: int, layout: str = "rows", n_validation: int = 200) -> Parts:
    """Create the splits; the test part is the same for every seed."""
    shape = choice("task digits: layout", layout, LAYOUTS)
    x, y = _images()
    x = x.reshape(-1, *shape)
    known, test = set_apart(y, N_TEST, Stream("digits", "test"))
    whole("task digits: n_validation", n_validation, least=0, most=len(known))
    rest, drawn = set_apart(y[known], n_validation, Stream("digits", "validation", seed))
    train, validation = (Stored(x[known[k]], y[known[k]], FULL) for k in (rest, drawn))
    return Parts(
        n_in=shape[1],
        n_out=CLASSES,
        steps=shape[0],
        train=train,
        validation=validation,
        test=Later(len(test), lambda: Stored(x[test], y[test], FULL)),
    )


def _images() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise DendrosimError(
            "scikit-learn, with the digits, is not installed: pip install 'dendrosim[learn]'"
        ) from None
    digits = load_digits()
    return digits.images.astype(np.uint8), digits.target


BUILDER = Builder(
    name="digits",
    title="8 x 8 digits of scikit-learn, one row (or pixel) a step",
    reference="Alpaydin and Kaynak (1998), UCI; scikit-learn load_digits",
    shape=(SIDE, SIDE, CLASSES),
    samples=(1_237, 200, N_TEST),
    data="",
    make=make,
)
