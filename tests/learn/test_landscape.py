"""Laws of the loss landscape and of the figures of analyses."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import dendrosim as ds
from dendrosim import energy, figures
from dendrosim.errors import DendrosimError
from dendrosim.figures.style import save_figure
from dendrosim.learn import TorchNetwork
from dendrosim.learn.gradients.loss_surface import Landscape, direction, landscape

torch.set_num_threads(1)


class Bowl(nn.Module):
    """Two matrices and a bias; the loss is a sum of squares, known along every direction."""

    def __init__(self, scale=1.0):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.a = nn.Parameter(scale * torch.randn(4, 3, generator=generator, dtype=torch.float64))
        self.b = nn.Parameter(torch.randn(2, 4, generator=generator, dtype=torch.float64))
        self.bias = nn.Parameter(torch.randn(5, generator=generator, dtype=torch.float64))


def squares(bowl):
    return (bowl.a**2).sum() + (bowl.b**2).sum() + (bowl.bias**2).sum()


class TestLandscape:
    @pytest.mark.parametrize("dimensions", [1, 2])
    def test_a_quadratic_loss_in_closed_form(self, dimensions):
        bowl = Bowl()
        found = landscape(bowl, squares, extent=0.5, points=5, dimensions=dimensions, seed=3)
        generator = torch.Generator().manual_seed(3)
        ways = [[direction(p, generator) for p in bowl.parameters()] for _ in range(dimensions)]
        start = [p.detach() for p in bowl.parameters()]
        for index in np.ndindex(found.losses.shape):
            along = [found.steps[i] for i in reversed(index)]
            moved = [
                p + sum(s * way[k] for s, way in zip(along, ways, strict=True))
                for k, p in enumerate(start)
            ]
            expected = sum((p**2).sum() for p in moved).item()
            assert found.losses[index] == pytest.approx(expected, rel=1e-12)
        assert found.centre == pytest.approx(squares(bowl).item())

    def test_the_network_is_as_before(self):
        bowl = Bowl()
        before = [p.detach().clone() for p in bowl.parameters()]
        landscape(bowl, squares, points=3)

        def breaks(net):
            raise RuntimeError

        with pytest.raises(RuntimeError):
            landscape(bowl, breaks, points=3)
        assert all(torch.equal(p, q) for p, q in zip(before, bowl.parameters(), strict=True))

    @given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 6))
    def test_a_direction_is_as_long_as_each_row(self, seed, n, m):
        generator = torch.Generator().manual_seed(seed)
        weights = torch.randn(n, m, generator=generator, dtype=torch.float64)
        weights[0] = 0
        found = direction(weights, generator)
        torch.testing.assert_close(found.norm(dim=1), weights.norm(dim=1))
        assert torch.equal(direction(weights[:, 0], generator), torch.zeros(n).double())

    def test_scaling_weights_that_do_not_matter_leaves_the_landscape(self):
        """Purpose of the normalisation: y = b relu(a x) is the same with 10 a and b/10."""
        x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

        def loss(net):
            return ((torch.relu(x @ net.a.T) @ net.b.T - 1) ** 2).mean()

        one, other = Bowl(), Bowl(10.0)
        other.b.data /= 10
        found = [landscape(net, loss, points=7, seed=2) for net in (one, other)]
        np.testing.assert_allclose(found[0].losses, found[1].losses, rtol=1e-9)

    def test_roughness(self):
        steps = np.linspace(-1, 1, 21)
        plane = Landscape(steps, steps[:, None] + 2 * steps[None, :], 0)
        bowl = Landscape(steps, steps[:, None] ** 2 + steps[None, :] ** 2, 0)
        noise = np.random.default_rng(0).normal(0, 0.1, (21, 21))
        rough = Landscape(steps, bowl.losses + noise, 0)
        assert plane.roughness == pytest.approx(0, abs=1e-12)
        assert bowl.roughness < 0.02 < rough.roughness
        assert Landscape(steps, 7 * rough.losses + 3, 0).roughness == pytest.approx(rough.roughness)
        assert Landscape(steps, np.ones(21), 0).roughness == 0

    def test_a_spiking_network(self):
        network = TorchNetwork(ds.Network.random([ds.Layer("lstm_lif", 2, 6, True)], n_out=3))
        x = torch.randn(8, 12, 2, generator=torch.Generator().manual_seed(0))
        labels = torch.arange(8) % 3

        def loss(net):
            return nn.functional.cross_entropy(net(x).readout.mean(1), labels)

        found = landscape(network, loss, points=5)
        assert found.losses.shape == (5, 5)
        assert found.centre == pytest.approx(loss(network).item(), rel=1e-6)
        again = landscape(network, loss, points=5)
        np.testing.assert_array_equal(found.losses, again.losses)
        other = landscape(network, loss, points=5, seed=1)
        assert np.abs(other.losses - found.losses).max() > 1e-4

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"points": 4}, "points = 4 is not an odd number from 3"),
            ({"points": 1}, "points = 1 is not"),
            ({"dimensions": 3}, "dimensions = 3; valid: 1, 2"),
            ({"extent": 0.0}, "extent = 0.0 is not a number above 0"),
        ],
    )
    def test_refusals(self, options, said):
        with pytest.raises(DendrosimError, match=re.escape(said)):
            landscape(Bowl(), squares, **options)

    def test_losses_that_are_not_numbers(self):
        with pytest.raises(DendrosimError, match="the loss is not finite everywhere"):
            landscape(Bowl(), lambda net: torch.log(net.a).sum(), points=3)
        with pytest.raises(DendrosimError, match="no matrix of weights"):
            landscape(nn.BatchNorm1d(3), squares)


def ink(figure, path):
    """Return the share of pixels that are not white."""
    from matplotlib.image import imread

    save_figure(figure, path)
    return float((imread(path)[..., :3] < 0.95).any(-1).mean())


class TestFigures:
    def test_a_map_shows_the_line_at_1(self, tmp_path):
        x = np.linspace(-1, 1, 9)
        values = 1 + x[:, None] * x[None, :]
        marks = [figures.Mark((0.5, 0.5), (0.2, 0.1), "98.40"), figures.Mark((-0.5, 0.5))]
        maps = {"a": values, "b": values + 0.1}
        figure = figures.map_figure(x, x, maps, ("beta_1", "V"), {"a": marks})
        assert 0.2 < ink(figure, tmp_path / "a.png") < 0.95
        panel = figure.axes[0]
        assert panel.get_xlabel() == "$β_{1}$" and panel.get_ylabel() == "V"
        assert [text.get_text() for text in panel.texts if text.get_text()] == ["98.40"]
        assert not figure.axes[1].texts

    def test_curves_leave_out_what_has_no_logarithm(self, tmp_path):
        figure = figures.curves_figure(
            {"a": (np.arange(4), [1.0, 0.1, 0.0, 1e-40]), "b": (np.arange(4), [1, 2, 3, 4])},
            title="t", x="x", y="y", log=True, line=0,
        )  # fmt: skip
        drawn = figure.axes[0].lines[0].get_ydata()
        np.testing.assert_array_equal(drawn, [0, -1, np.nan, np.nan])
        assert ink(figure, tmp_path / "a.png") > 0.005

    @pytest.mark.parametrize("dimensions", [1, 2])
    def test_landscapes(self, dimensions, tmp_path):
        found = {
            name: landscape(Bowl(scale), squares, points=5, dimensions=dimensions)
            for name, scale in (("lif", 1.0), ("lstm_lif", 2.0))
        }
        figure = figures.landscape_figure(found, "Loss")
        assert ink(figure, tmp_path / "a.png") > 0.01
        assert len(figure.axes) == (1 if dimensions == 1 else 4)

    def test_energy(self, tmp_path):
        counts = {
            "LIF": energy.operations("lif", (4, 8), True, (0.1,)),
            "LSTM-LIF": energy.operations("lstm_lif", (4, 8), True, (0.1,)),
        }
        figure = figures.energy_figure(counts)
        axes = figure.axes[0]
        assert axes.get_yscale() == "linear"
        tops = [bar.get_y() + bar.get_height() for bar in axes.patches[1::2]]
        assert tops == pytest.approx([count.nanojoules() for count in counts.values()])
        counts["LSTM"] = energy.lstm_operations((4, 80))
        figure = figures.energy_figure(counts, printed={"LIF": 0.1, "LSTM": 1234.5})
        axes = figure.axes[0]
        assert axes.get_yscale() == "log" and not axes.patches
        np.testing.assert_allclose(
            axes.lines[0].get_ydata(), [c.nanojoules() for c in counts.values()]
        )
        told = [text.get_text() for text in axes.texts]
        assert told[3:] == ["printed 0.1", "printed 1,234.5"]
        assert ink(figure, tmp_path / "a.png") > 0.01
