"""The manifest of a sweep."""

from __future__ import annotations

import json
from typing import Any

from dendrosim.sweeps.plan import SweepPlan

#: 2: every chunk has a checksum and a file.  Finished sweeps of format 1 are read.
FORMAT, READABLE = 2, (1, 2)


def manifest_of(plan: SweepPlan) -> dict[str, Any]:
    """Return the manifest of a plan as plain values."""
    # as it is read back from the file
    own = {"format": FORMAT, **plan.manifest, "chunk": plan.chunk}
    return json.loads(json.dumps(own))
