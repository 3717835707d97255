"""Fused kernels on a GPU (`make cuda`), against autograd there and against the processor.

They need no brian2cuda: torch for CUDA is enough.
"""

from __future__ import annotations

import eager_and_fused as twins
import pytest
import torch

from dendrosim.learn import TorchNetwork
from dendrosim.learn.kernels import cuda

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here"),
]


@pytest.mark.parametrize("recurrent", [True, False])
@pytest.mark.parametrize("name", ["lif", "alif", "lstm_lif", "lrmm", "lrmm_alif"])
def test_gradients_are_those_of_autograd(name, recurrent):
    net = twins.network(name, recurrent)
    options = {"device": "cuda", "dtype": torch.float64, "train_all": True}
    twins.agree(twins.both(net, twins.sample(), **options), 1e-10)


def test_more_weights_than_a_block_should_read(monkeypatch):
    monkeypatch.setattr(cuda, "RESIDENT", 0)
    options = {"device": "cuda", "dtype": torch.float64}
    twins.agree(twins.both(twins.network("lrmm"), twins.sample(), **options), 1e-10)


def test_spikes_are_those_of_the_processor():
    module = TorchNetwork(twins.network("lstm_lif"), dtype=torch.float64)
    x = torch.tensor(twins.sample(samples=70, steps=200))
    with torch.no_grad():
        here = module(x).spikes
        there = module.to("cuda")(x.to("cuda")).spikes
    for a, b in zip(here, there, strict=True):
        assert torch.equal(a, b.cpu())


def test_products_in_bfloat16():
    """Under autocast the states stay in the type that the text was compiled for."""
    module = TorchNetwork(twins.network("lrmm")).to("cuda")
    x = torch.tensor(twins.sample(), dtype=torch.float32, device="cuda")
    with torch.autocast("cuda", torch.bfloat16):
        out = module(x)
    out.readout.float().square().sum().backward()
    for layer in module.layers:
        assert layer.recurrent_weights["I"].grad.isfinite().all()
        assert layer.recurrent_weights["I"].grad.any()
