"""The cochlea: its filters, Meddis' hair cell against a fine loop, and spikes of bushy cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import dendrosim as ds
from dendrosim.learn import TorchNetwork
from dendrosim.learn.tasks.cochlea import Cochlea, erb_rate, frequency

torch.set_num_threads(1)  # the tensors are small

RATE = 8_000
EAR = Cochlea(rate=RATE, hop=80, frames=60, channels=12)
TIME = np.arange(EAR.frames * EAR.hop) / RATE

#: Meddis (1986), 1/s and input units.
A, B, G, Y, L, R, X, H = 5.0, 300.0, 2000.0, 5.05, 2500.0, 6580.0, 66.31, 50000.0
REST = H * (k := G * A / (A + B)) * Y / (L * k + Y * (L + R))


def tone(hertz, start=0.1, stop=0.4):
    """Return a tone between two times, with ramps of 5 ms."""
    ramp = np.clip(np.minimum(TIME - start, stop - TIME) / 0.005, 0, 1)
    return ramp * np.sin(2 * np.pi * hertz * TIME)


def nerve(membrane):
    """Return the firing rate of the nerve, 1/s, from Brian2: shape (steps,)."""
    network = Cochlea(rate=RATE, hop=80, channels=1).network
    r = ds.run_network(network, membrane[None, :, None], device="numpy", record={0: ("c",)},
                       progress=False)  # fmt: skip
    return H * r.states[0]["c"][0, :, 0]


def fine_nerve(membrane, parts=40):
    """The same with small Euler steps, with the membrane constant during a sample."""
    q, c, w = REST / H * (L + R) / k, REST / H, REST / H * R / X
    dt, rates = 1 / RATE / parts, []
    for s in membrane:
        leak = G * (s + A) / (s + A + B) if s > -A else 0.0
        for _ in range(parts):
            let, again = leak * q, X * w
            q, c, w = (
                q + dt * (Y * (1 - q) + again - let),
                c + dt * (let - L * c - R * c),
                w + dt * (R * c - again),
            )
        rates.append(H * c)
    return np.array(rates)


class TestHairCell:
    def test_it_rests_in_silence(self):
        rates = nerve(np.zeros(400))
        assert abs(REST - 64.77) < 0.01
        np.testing.assert_allclose(rates, REST, rtol=1e-4)

    def test_against_a_fine_loop(self):
        membrane = 40 * tone(200)[700:1500]
        coarse, fine = nerve(membrane), fine_nerve(membrane)
        assert fine.max() > 5 * REST
        assert np.abs(coarse - fine).mean() < 0.03 * fine.mean()

    def test_it_fires_at_the_beginning_adapts_and_falls_silent(self):
        """Figs 3 and 4 of the paper: onset above the steady rate, then below the resting rate."""
        rates = nerve(40 * tone(1000))
        onset, steady = rates[800:880].mean(), rates[2800:3200].mean()
        after = rates[3240:3400].mean()
        assert onset > 1.5 * steady > 1.5 * REST
        assert after < 0.8 * REST


class TestMembrane:
    def test_places_are_even_in_bandwidths(self):
        assert EAR.centres[[0, -1]] == pytest.approx([100, 3600])
        assert np.ptp(np.diff(erb_rate(EAR.centres))) < 1e-9
        np.testing.assert_allclose(frequency(erb_rate(EAR.centres)), EAR.centres)

    @pytest.mark.parametrize("channel", [0, 5, 11])
    def test_a_filter_passes_its_own_tone(self, channel):
        sound = np.sin(2 * np.pi * EAR.centres[channel] * TIME)
        (moved,) = EAR.membrane([sound])
        loud = np.sqrt((moved[-2400:].astype(float) ** 2).mean(0))
        assert loud.argmax() == channel
        assert loud[channel] == pytest.approx(10 ** (30 / 20), rel=0.03)  # 60 dB, in units of 30 dB


class TestSpikes:
    def test_of_a_tone(self):
        (counts,) = EAR([tone(EAR.centres[6])])
        heard = counts.sum(1)
        assert counts.sum(0).argmax() == 6
        assert heard[:9].sum() == 0  # silence
        assert heard[10:14].mean() > 1.2 * heard[30:38].mean() > 0
        assert heard[45:].sum() == 0

    def test_loudness_of_the_recording_does_not_count(self):
        sound = tone(700)
        quiet, loud, nothing = EAR([sound, 1000 * sound, 0 * sound])
        assert np.array_equal(quiet, loud) and quiet.sum() > 50 and nothing.sum() == 0

    def test_torch_and_brian2_agree(self):
        x = EAR.membrane([tone(500), tone(2000)])[:, 600:1200]
        expected = ds.run_network(EAR.network, x, device="numpy", progress=False).spikes[0]
        with torch.no_grad():
            (found,) = TorchNetwork(EAR.network, dtype=torch.float64)(
                torch.tensor(x, dtype=torch.float64)
            ).spikes
        assert expected.sum() > 50
        assert np.array_equal(found.numpy(), expected)
