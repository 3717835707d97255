"""The manifest of a sweep, and what differs between two."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from dendrosim.sweeps.plan import SweepPlan

#: 2: every chunk has a checksum and a file.  Finished sweeps of format 1 are read.
FORMAT, READABLE = 2, (1, 2)


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs between two manifests; inside a table, the entry that differs."""
    for key in here:
        own, other = here[key], there.get(key)
        if (
            json.dumps(own) == json.dumps(other) or key == "chunk"
        ):  # the size of a chunk changes no result
            continue
        if isinstance(own, dict) and isinstance(other, dict):
            for name in dict.fromkeys([*other, *own]):
                if name not in own or name not in other:
                    yield f"{key}: {name} is only {'there' if name in other else 'here'}"
                elif own[name] != other[name] and key == "measures":
                    yield f"{key}: {name} is another function"
                elif own[name] != other[name]:
                    told = f"{_shortened(other[name])} there and {_shortened(own[name])} here"
                    yield f"{key}: {name} is {told}"
            if own.keys() == other.keys() and list(own) != list(other):
                yield f"{key}: their order is another"
        else:
            yield f"{key} is {_shortened(other)} there and {_shortened(own)} here"


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def manifest_of(plan: SweepPlan) -> dict[str, Any]:
    """Return the manifest of a plan as plain values."""
    # as it is read back from the file
    own = {"format": FORMAT, **plan.manifest, "chunk": plan.chunk}
    return json.loads(json.dumps(own))
