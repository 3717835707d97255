"""The figures of the pages: what a model without a dendrite is shown under."""

from __future__ import annotations

import pytest
from places import ROOT

import dendrosim as ds


@pytest.fixture
def responses(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    import responses

    return responses


ONE_COMPARTMENT = """
title = "A leak"
kind = "continuous"
inputs = { soma = "I" }
potentials = { soma = "v" }
equations = '''
dv/dt = (I - g*v)/C : volt
I : amp/meter**2
'''
[parameters]
g = "1 S/m**2"
C = "1 uF/cm**2"
[initial]
v = "0 mV"
"""


def test_a_model_with_one_compartment_gets_no_pulses_into_a_dendrite(responses, tmp_path):
    (tmp_path / "leak.toml").write_text(ONE_COMPARTMENT, encoding="utf-8")
    protocols = responses.protocols_for(ds.load_model(tmp_path / "leak.toml"))
    assert [*protocols] == ["step", "fi_curve", "chirp"]
    assert {place for one in protocols.values() for s in one.stimuli for place in s.into} == {
        "soma"
    }
    both = responses.protocols_for(ds.load_model("kepecs_wang_2000"))
    assert {name: len(one.stimuli) for name, one in both.items()} == {
        name: len(ds.load_protocol(name).stimuli) for name in responses.SHELF
    }
    assert [*both] == [*responses.SHELF]
