"""Which column is whose, which window a number is of, and names as they are: tables and figures."""

import numpy as np
import pytest
from by_hand import protocol, recording
from matplotlib.cbook import is_math_text
from matplotlib.text import Text
from numpy.testing import assert_allclose, assert_array_equal

import dendrosim as ds
from dendrosim.comparison import protocol_measures, responses
from dendrosim.comparison.result import comparison
from dendrosim.comparison.scores import representative
from dendrosim.errors import DendrosimError
from dendrosim.figures.style import save_figure
from dendrosim.figures.traces import recording_figure

ODD = ["a $x^{2 b$ {", r"$\frac{1$ \n % #", "_under $1 $2", "50 % \udcff {}"]


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_names_and_titles_are_drawn_letter_by_letter(tmp_path, ending):
    """Issue 15, item 25: a ``$`` in a name or title broke the figure after the run."""
    one = ds.Protocol("1 s", [ds.Stimulus("soma", "constant", amplitude="[0, 1] uA/cm**2")],
                      title=ODD[1], name=ODD[0])  # fmt: skip
    v = np.full((1000, 2), -0.065)
    made = comparison([recording([[], [0.5]], v) for _ in ODD], one, names=ODD)
    figure = made.plot(tmp_path / f"a.{ending}")
    texts = figure.findobj(Text)
    assert not any(is_math_text(text.get_text()) for text in texts)
    shown = [text.get_text().replace(r"\$", "$").strip() for text in texts]
    assert {"a $x^{2 b$ {", "_under $1 $2", "50 % ? {}"} <= {*shown}
    legend = [text.get_text() for text in figure.axes[-2].get_legend().get_texts()]
    assert len(legend) == len(ODD)
    made.recordings[0].meta["model"] = ODD[1]
    save_figure(recording_figure(made.recordings[0], one), tmp_path / f"b.{ending}")


def test_a_figure_says_how_many_spikes_are_measured(tmp_path):
    one = ds.Protocol("1 s", [ds.Stimulus("soma", "constant", amplitude="1 uA/cm**2")],
                      measure={"start": "400 ms", "stop": "600 ms"})  # fmt: skip
    made = comparison([recording([[0.3, 0.5, 0.7]]), recording([[0.45, 0.55]])], one)
    right = [axes.get_title(loc="right") for axes in made.plot().axes[:2]]
    assert right == ["1 of 3 spikes are measured", "2 spikes"]


def test_a_latency_is_within_the_window_or_is_none():
    """Issue 15, item 8: a latency outside the window stood beside 0 spikes."""
    step = [ds.Stimulus("soma", "step", amplitude="1 uA/cm**2", start="200 ms", stop="500 ms")]
    trains = [[0.1, 0.25], [0.1, 0.55], [], [0.2, 0.3]]
    trains = [np.array(train) for train in trains]
    for window, expected in [
        ({"start": "200 ms", "stop": "500 ms"}, [50, np.nan, np.nan, 100]),
        ({"stop": "500 ms"}, [50, np.nan, np.nan, 0]),
        ({"start": "300 ms"}, [np.nan] * 4),  # the onset is not in it
        ({"stop": "150 ms"}, [np.nan] * 4),
    ]:
        found = protocol_measures.curve(trains, ds.Protocol("1 s", step, measure=window))
        assert_allclose(found["first spike latency (ms)"], expected)


def test_recorded_columns_are_those_of_their_neurons():
    """Issue 15, item 12: neuron 3's spike height was given for neuron 0, or none at all."""
    times = np.arange(0, 1, 1e-4)
    train = [0.3, 0.5, 0.7]
    shapes = sum(np.exp(-(((times - t) / 6e-4) ** 2)) for t in train)
    heights = np.array([0.08, 0.10, 0.06, 0.09])
    v = -0.065 + heights * shapes[:, None]
    everything = recording([train] * 4, v, dt=1e-4)
    chosen = [3, 1]
    some = ds.Recording(
        everything.spike_i,
        everything.spike_t,
        everything.traces.isel(neuron=chosen),
        everything.meta,
    )
    for neuron in range(4):
        full = responses.spike_shape(everything, neuron, 0.0, 1.0)
        part = responses.spike_shape(some, neuron, 0.0, 1.0)
        assert full["spike height (mV)"] == pytest.approx(heights[neuron] * 1e3, rel=0.05)
        assert part == (full if neuron in chosen else {})
    assert [some.column(3), some.column(1)] == [0, 1]
    with pytest.raises(DendrosimError, match="no trace of neuron 0 was recorded; recorded: 3, 1"):
        some.column(0)
    assert_array_equal(some.voltage("soma", [1, 3]), v[:, [1, 3]])
    shift = recording([train] * 4, v + 1e-3, dt=1e-4)
    apart = responses.difference(shift, some, 0.0, 1.0)
    assert_array_equal(np.sort(apart.neurons), [1, 3])
    assert_allclose(apart.volts, 1e-3)
    assert responses.difference(shift, some, 0.0, 1.0).counts.shape == apart.volts.shape
    grid = protocol("[0, 1, 2, 3] uA/cm**2", "1 s")
    assert representative([some, everything], grid) in chosen
    made = comparison([everything, some], grid)
    assert made.table["rms voltage error (mV)"].iloc[1] == pytest.approx(0, abs=1e-9)
    made.plot()


@pytest.mark.parametrize("chosen", [[2], [2, 0], [1, 2]])
def test_impedances_of_some_neurons_are_theirs(chosen):
    """A chirp into three neurons, the second of which spikes; each has a resistance of its own."""
    chirp = ds.Protocol(
        "1 s", [ds.Stimulus("soma", "chirp", amplitude="1 uA/cm**2", f_0="1 Hz", f_1="20 Hz")]
    )
    times = np.arange(0, 1, 1e-3)
    current = chirp.current("soma", times, 1e-4)
    v = -0.065 + current * [1.0, 2.0, 3.0]  # ohm m**2
    whole = recording([[], [0.5], []], v)
    part = ds.Recording(whole.spike_i, whole.spike_t, whole.traces.isel(neuron=chosen), whole.meta)
    full, found = responses.impedances(whole, chirp), responses.impedances(part, chirp)
    assert_array_equal(found.neurons, chosen)
    assert_array_equal(found.linear, [k for k in chosen if k != 1])
    for neuron in found.linear:
        assert_allclose(found.of(neuron), full.of(neuron))
        assert np.median(abs(found.of(neuron))) == pytest.approx(neuron + 1.0, rel=1e-6)
    assert found.of(7) is None
    error = responses.impedance_measures(part, chirp, whole)["impedance error (%)"]
    assert error == pytest.approx(0, abs=1e-9)
