"""LSTM and ReLU units with the interface of a spiking network: textbook loops and counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dendrosim.errors import DendrosimError
from dendrosim.learn.networks.torch_cells import CELLS, CellNetwork

torch.set_num_threads(1)  # the tensors are small

X = np.random.default_rng(0).normal(size=(3, 40, 5))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm(x, w, v, b):
    """Gates f, i, o and a candidate: Table 6 of the LSTM-LIF paper; torch's order is i, f, c, o."""
    n = v.shape[1]
    w_i, w_f, w_c, w_o = np.split(np.concatenate([w, v, b[:, None]], axis=1), 4)
    h, c, hs = np.zeros((len(x), n)), np.zeros((len(x), n)), []
    for t in range(x.shape[1]):
        seen = np.concatenate([x[:, t], h, np.ones((len(x), 1))], axis=1)
        f, i, o = (sigmoid(seen @ gate.T) for gate in (w_f, w_i, w_o))
        c = f * c + i * np.tanh(seen @ w_c.T)
        h = o * np.tanh(c)
        hs.append(h)
    return np.stack(hs, 1)


def srnn_relu(x, w, v, b):
    """A unit is the positive part of its input plus the previous state of its layer and a bias."""
    h, hs = np.zeros((len(x), len(v))), []
    for t in range(x.shape[1]):
        h = np.maximum(x[:, t] @ w.T + h @ v.T + b, 0)
        hs.append(h)
    return np.stack(hs, 1)


ORACLES = {"lstm": lstm, "srnn_relu": srnn_relu}


def test_every_kind_has_an_oracle():
    assert ORACLES.keys() == CELLS.keys()


@pytest.mark.parametrize("kind", CELLS)
class TestCells:
    def test_against_the_textbook(self, kind):
        network = CellNetwork(kind, (5, 7, 6), n_out=3, seed=1, dtype=torch.float64)
        with torch.no_grad():
            out = network(torch.tensor(X))
        x = X
        for layer in network.layers:
            w, v, b = (
                getattr(layer, name).detach().numpy()
                for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0")
            )
            x = ORACLES[kind](x, w, v, b)
        assert 0.05 < np.abs(x).mean() < 5
        w, b = (p.detach().numpy() for p in (network.readout.weight, network.readout.bias))
        np.testing.assert_allclose(out.readout.numpy(), x @ w.T + b, rtol=0, atol=1e-12)

    def test_it_looks_like_a_network_to_a_trainer(self, kind):
        network = CellNetwork(kind, (5, 7), n_out=3)
        out = network(torch.tensor(X))
        assert out.readout.shape == (3, 40, 3)
        assert out.readout.dtype == torch.float32
        assert (out.spikes, out.states) == ([], [])
        (out.readout**2).sum().backward()
        trained = [p for p in network.parameters() if p.requires_grad]
        assert all(torch.isfinite(p.grad).all() and p.grad.abs().max() > 0 for p in trained)

    def test_the_second_bias_stays_0(self, kind):
        network = CellNetwork(kind, (5, 7), n_out=3)
        optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
        network(torch.tensor(X)).readout.sum().backward()
        before = network.layers[0].bias_ih_l0.clone()
        optimizer.step()
        assert not network.layers[0].bias_hh_l0.any()
        assert (network.layers[0].bias_ih_l0 != before).any()

    def test_a_seed_is_a_network(self, kind):
        state = torch.get_rng_state()
        first, again, other = (CellNetwork(kind, (5, 7), 3, seed) for seed in (1, 1, 2))
        assert torch.equal(torch.get_rng_state(), state)
        pairs = [
            [torch.equal(a, b) for a, b in zip(x.parameters(), y.parameters(), strict=True)]
            for x, y in ((first, again), (first, other))
        ]
        assert all(pairs[0])
        assert sum(pairs[1]) == 1  # the biases that are 0

    def test_refusals(self, kind):
        for sizes, n_out, told in (
            ((5,), 3, "inputs and units"), ((5, 0), 3, "the size 0"), ((5, 7), 2.5, "the size 2.5"),
            ((True, 7), 3, "the size True"),
        ):  # fmt: skip
            with pytest.raises(DendrosimError, match=f"{kind}: .*{told}"):
                CellNetwork(kind, sizes, n_out)
        with pytest.raises(DendrosimError, match=r"shape \(3, 40, 4\), but \(B, T, 5\)"):
            CellNetwork(kind, (5, 7), 3)(torch.zeros(3, 40, 4))


def test_an_unknown_kind():
    with pytest.raises(DendrosimError, match="kind = 'gru'; valid: lstm, srnn_relu"):
        CellNetwork("gru", (1, 2), 3)


@pytest.mark.parametrize(
    ("sizes", "n_out", "published"),
    [
        ((1, 128), None, "66.5"),  # S-MNIST, LSTM-LIF Table 1; its readout is not counted
        ((1, 256), 10, "266.7"),  # PS-MNIST, 0.27M in LRMM Table 1
        ((700, 128), 20, "427.0"),  # SHD, 0.43M in LRMM Table 1
    ],
)
def test_published_counts_of_lstm(sizes, n_out, published):
    network = CellNetwork("lstm", sizes, n_out or 1)
    count = network.n_weights - (0 if n_out else sizes[-1] + 1)
    assert f"{count // 100 / 10}" == published  # in thousands, truncated as in the tables


def test_counts_of_the_recurrent_network_of_the_papers():
    network = CellNetwork("srnn_relu", (1, 40, 256, 128), 10)
    assert network.n_weights == sum(
        n * (n_in + n + 1) for n_in, n in ((1, 40), (40, 256), (256, 128))
    ) + 10 * (128 + 1)
