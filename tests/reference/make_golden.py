"""Write the golden files: ``cd tests && python -m reference.make_golden``."""

import json
from pathlib import Path

from . import kepecs_wang, pinsky_rinzel

GOLDEN = Path(__file__).parent / "golden"
COMMAND = "cd tests && python -m reference.make_golden"


def panel_a():
    """Return the Euler spike times of panel A of the Pinsky-Rinzel paper's Fig. 2."""
    run = pinsky_rinzel.euler(pinsky_rinzel.ZERO_GATES, 0.75, duration=1500.0, dt=0.005)
    return {
        "made_by": COMMAND,
        "what": "Pinsky-Rinzel 1994, Fig. 2 A: forward Euler, dt 0.005 ms, I_s 0.75 uA/cm2, "
        "v_s = v_d = -60 mV, gates and Ca 0; end of the steps in which v_s exceeds -25 mV",
        "listed_in": "OpenSourceBrain/PinskyRinzelModel a9aa9c9, NeuroML2/LEMS/.test.fig2.mep",
        "spike_times_ms": [round(t, 9) for t in run.spike_times.tolist()],
    }


def lsoda_reference():
    """Return accurate spike times of the Kepecs-Wang neuron with I_d = 1 uA/cm2."""
    run = kepecs_wang.lsoda(kepecs_wang.INITIAL, 0.0, 1.0, duration=1000.0, rtol=1e-10, atol=1e-10)
    bursts = kepecs_wang.summarise(run.spike_times)
    return {
        "made_by": COMMAND,
        "what": "Kepecs-Wang, reference set, I_d 1 uA/cm2, start (-65, -65, .9, .1, 0): LSODA with "
        "rtol = atol = 1e-10; upward crossings of -20 mV; a burst's intervals are < 10 ms",
        "burst_onsets_ms": [round(t, 6) for t in bursts.onsets.tolist()],
        "spikes_per_burst": bursts.spikes.tolist(),
        "spike_times_ms": [round(t, 6) for t in run.spike_times.tolist()],
    }


def main():
    """Write both files."""
    GOLDEN.mkdir(exist_ok=True)
    made = {"pinsky_rinzel_panel_a": panel_a, "kepecs_wang_lsoda": lsoda_reference}
    for name, make in made.items():
        (GOLDEN / f"{name}.json").write_text(json.dumps(make(), indent=1) + "\n")


if __name__ == "__main__":
    main()
