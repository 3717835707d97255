"""Freed memory stays in the process during a training, and goes back after it."""

from __future__ import annotations

import ctypes
import resource
from pathlib import Path

import pytest
import torch

from dendrosim.learn import memory

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="no glibc here"
)


def faults(megabytes=64):
    """Return how many fresh pages the system hands out for some arrays."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [torch.ones(megabytes << 16) for _ in range(4)]
    del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20


def test_a_step_gets_the_memory_of_those_before():
    before = resident()
    with memory.kept():
        first, *_, last = [faults() for _ in range(4)]
        assert resident() > before + 48
    assert first > 10_000  # 64 MB are 16,384 pages
    assert last < first / 20
    assert resident() < before + 16


def test_it_ends_with_an_error_too():
    before = resident()
    with pytest.raises(ZeroDivisionError), memory.kept():
        faults()
        _ = 1 / 0
    assert resident() < before + 16
