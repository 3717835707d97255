"""Freed memory stays in the process during training, and is returned afterwards."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="no glibc here"
)

#: Runs in a separate process, where no other test has left free memory.
PROGRAM = """
import json, resource
from pathlib import Path
import torch
from dendrosim.learn.training import memory

def fresh_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [torch.ones(4 << 20) for _ in range(4)]  # 64 MB
    del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def megabytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages*resource.getpagesize() >> 20

found = {"before": megabytes()}
try:
    with memory.kept():
        found |= {"pages": [fresh_pages() for _ in range(5)], "during": megabytes()}
        raise ZeroDivisionError
except ZeroDivisionError:
    found["after"] = megabytes()
print(json.dumps(found))
"""


def test_a_step_gets_the_memory_of_those_before():
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    found = json.loads(run.stdout)
    first, *_, last = found["pages"]
    assert first > 10_000  # 64 MB are 16,384 pages
    assert last < first / 20
    assert found["during"] > found["before"] + 48
    assert found["after"] < found["before"] + 16
