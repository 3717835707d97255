"""Independent oracles: the models once more, in plain numpy and scipy.

Everything here is written from the papers and from REFERENCE.md, not from the package. A test
compares what ``dendrosim`` computes with what these few lines compute.

The rule: a module in this folder imports nothing of ``dendrosim`` and nothing of Brian2 or torch.

Units: mV, ms, uA/cm2, mS/cm2 and uF/cm2 (so that current density / capacitance is mV/ms).

Modules
-------
stepping
    Forward Euler, classical Runge-Kutta, LSODA, spike times and bursts, for any of the ODE models.
pinsky_rinzel
    Pinsky & Rinzel (1994) with the 1995 erratum.
kepecs_wang
    Kepecs & Wang (2000), and the two slips of the equations printed in the LSTM-LIF paper.
discrete
    One-step rules of the trained neurons and circuits: LIF, LSTM-LIF, ALIF, LRMM.
make_golden
    Writes ``golden/*.json``.
"""
