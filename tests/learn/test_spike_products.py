"""Sums over the neurons that spiked, compared with the matrix product and its derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dendrosim.devices.compiler import has_compiler
from dendrosim.learn.kernels import spike_products

pytestmark = pytest.mark.skipif(not has_compiler(), reason="no C++ compiler here")

SIZES = st.tuples(
    st.integers(1, 60), st.integers(1, 4), st.integers(16, 150), st.integers(1, 300)
)  # steps, samples, from and to how many neurons


def drawn(sizes, rate, seed, dtype=torch.float64, graded=False):
    steps, batch, n_in, n = sizes
    rng = np.random.default_rng(seed)
    spikes = (rng.random((steps, batch, n_in)) < rate) * (
        rng.normal(size=(steps, batch, n_in)) if graded else 1.0
    )
    arrays = spikes, rng.normal(size=(n, n_in)), rng.normal(size=n)
    return [torch.tensor(array, dtype=dtype) for array in arrays]


@settings(max_examples=60)
@given(sizes=SIZES, rate=st.sampled_from([0, 0.02, 0.2, 1.0]), seed=st.integers(0, 99),
       graded=st.booleans(), bias=st.booleans())  # fmt: skip
def test_value_and_derivatives_are_those_of_the_matrix_product(sizes, rate, seed, graded, bias):
    x, weights, offset = (a.requires_grad_() for a in drawn(sizes, rate, seed, graded=graded))
    offset = offset if bias else None
    wanted = [x, weights] + [offset] * bias
    found = spike_products._SpikeProduct.apply(x, weights, offset)
    expected = torch.nn.functional.linear(x, weights, offset)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    by = torch.linspace(-1, 2, found.numel(), dtype=found.dtype).reshape(found.shape)
    for a, b in zip(
        torch.autograd.grad((found * by).sum(), wanted),
        torch.autograd.grad((expected * by).sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-11)


def test_single_precision_rounds_no_more_than_the_matrix_product():
    sizes = 200, 64, 96, 130
    exact = drawn(sizes, 0.2, 0)
    x, weights, offset = (a.float() for a in exact)
    slopes = torch.randn(*sizes[:2], sizes[3], generator=torch.Generator().manual_seed(0))
    rounded = [
        (spike_products.linear(x, weights, offset), torch.nn.functional.linear(x, weights, offset),
         torch.nn.functional.linear(x.double(), weights.double(), offset.double())),
        (spike_products.by_weights(x, slopes), slopes.flatten(0, 1).T @ x.flatten(0, 1),
         slopes.flatten(0, 1).T.double() @ x.flatten(0, 1).double()),
    ]  # fmt: skip
    for ours, dense, truth in rounded:
        errors = [(y.double() - truth).abs().mean() for y in (ours, dense)]
        assert 0 < errors[0] < 2 * errors[1]


def test_threads_share_what_no_other_adds_to():
    x, weights, _ = drawn((100, 40, 64, 300), 0.1, 1, torch.float32)
    assert x.numel() > spike_products.WORTHWHILE
    slopes = torch.randn(100, 40, 300)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            found.append((spike_products.linear(x, weights, None),
                          spike_products.by_weights(x, slopes)))  # fmt: skip
        finally:
            torch.set_num_threads(1)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_where_many_fire_the_matrix_product_does_it(monkeypatch):
    monkeypatch.setattr(spike_products, "_call", lambda *_: pytest.fail("summed"))
    x, weights, offset = drawn((30, 2, 32, 8), 0.9, 2)
    found = spike_products.linear(x, weights, offset)
    assert torch.equal(found, torch.nn.functional.linear(x, weights, offset))
    by = spike_products.by_weights(x, found)
    assert torch.equal(by, found.flatten(0, 1).T @ x.flatten(0, 1))


@pytest.mark.parametrize(
    ("rate", "n", "sparse"), [(0.1, 32, True), (0.8, 32, False), (0.1, 8, False)]
)
def test_what_is_sparse(rate, n, sparse):
    x, *_ = drawn((40, 3, n, 1), rate, 3)
    assert spike_products.is_sparse(x) is sparse
