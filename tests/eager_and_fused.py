"""The same layers by autograd, which walks the text one operation at a time, and by kernels."""

from __future__ import annotations

import numpy as np
import torch
from reference import circuits

import dendrosim as ds
from dendrosim.learn import TorchNetwork

torch.set_num_threads(1)

N_IN, N = 5, 21  # odd: a vector's remainder is computed as well


def network(rule, recurrent=True):
    drawn = circuits.draw([rule, rule], N_IN, N, seed=5)
    sizes = ((N_IN, N), (N, N))
    layers = [
        ds.Layer(rule, n_in, n, recurrent, one.w_in, one.w_rec if recurrent else None, one.bias,
                 one.parameters)
        for one, (n_in, n) in zip(drawn, sizes, strict=True)
    ]  # fmt: skip
    return ds.Network(layers, np.random.default_rng(6).normal(size=(3, N)))


def both(net, x, *, train_all=False, device="cpu", **options):
    """Return spikes, readout and gradients of the eager path and of the fused one."""
    found = []
    for fused in (False, True):
        module = TorchNetwork(net, fused=fused, **options).to(device)
        dtype = module.readout_bias.dtype
        source = torch.tensor(x, dtype=dtype, device=device, requires_grad=True)
        wanted = dict(module.named_parameters())
        if train_all:
            wanted |= {
                k: b.requires_grad_() for k, b in module.named_buffers() if b.is_floating_point()
            }
        out = module(source)
        rng = torch.Generator().manual_seed(1)
        weighed = [(y * torch.randn(y.shape, generator=rng).to(device)).sum()
                   for y in (*out.spikes, out.readout)]  # fmt: skip
        loss = sum(weighed[:-1]) + weighed[-1]
        names = ["x", *wanted]
        gradients = torch.autograd.grad(loss, [source, *wanted.values()], allow_unused=True)
        found.append((out, dict(zip(names, gradients, strict=True))))
    return found


def agree(found, bound):
    (eager, by_eager), (fused, by_fused) = found
    for a, b in zip(eager.spikes, fused.spikes, strict=True):
        assert torch.equal(a, b)
        assert 0.02 < a.mean() < 0.9
    torch.testing.assert_close(fused.readout, eager.readout)
    compared = 0
    for name, gradient in by_eager.items():
        if gradient is None:
            assert by_fused[name] is None or not by_fused[name].any(), name
            continue
        scale = gradient.abs().max()
        assert (by_fused[name] - gradient).abs().max() <= bound * scale, name
        compared += bool(scale > 0)
    assert compared > 5


def sample(seed=0, samples=3, steps=40):
    return np.random.default_rng(seed).normal(size=(samples, steps, N_IN))
