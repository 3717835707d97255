"""A sweep refuses a measure of the potential where a model has no potential in volt."""

from __future__ import annotations

import pytest

import dendrosim as ds
from dendrosim import DendrosimError


def test_a_potential_without_units_is_refused():
    protocol = ds.load_protocol("constant").with_(amplitude="0.5")
    with pytest.raises(DendrosimError, match="in volt, and lif has no units"):
        ds.sweep("lif", protocol, {"V_th": [1.0, 2.0]}, measures=["mean_potential"], device="numpy")
