"""What differs between the settings of a folder and those of a call, as sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dendrosim.model.quantities import display_unit, parse_unit
from dendrosim.value_texts import short_row

#: An entry that only the other table has.
MISSING = object()
#: Most characters of a value in a sentence.
LONGEST = 80
#: The texts of axes and ranges in settings, in SI units: all digits, so that equal ones are equal.
_SETTING = re.compile(
    r"(?P<kind>(?:log)?uniform\(|\[|)(?P<numbers>[-+0-9.e, ]+?)[\])]? (?P<unit>[a-z*/0-9]+)"
)


def differences(there: Any, here: Any, name: str = "") -> Iterator[str]:
    """Yield what differs between two settings; inside a table, the entry that differs.

    Parameters
    ----------
    there, here
        Plain values as JSON has them.
    name
        Name of the settings; empty for the whole.
    """
    if json.dumps(there) == json.dumps(here):
        return
    pairs = _entries(there, here)
    if pairs is None:
        yield f"{name} is {_shown(there)} there and {_shown(here)} here"
        return
    for key, other, own in pairs:
        if other is MISSING or own is MISSING:
            where = "there" if own is MISSING else "here"
            yield f"{name}: {key} is only {where}" if name else f"{key} is only {where}"
        elif name == "measures" and json.dumps(own) != json.dumps(other):
            yield f"{name}: {key} is another function"
        else:
            yield from differences(other, own, f"{name}: {key}" if name else key)
    if isinstance(here, Mapping) and there.keys() == here.keys() and list(there) != list(here):
        yield f"{name}: their order is another"


def _entries(there: Any, here: Any) -> list[tuple[str, Any, Any]] | None:
    """Return the entries of two tables, or of two lists of tables of a length; None for others."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        return [
            (key, there.get(key, MISSING), here.get(key, MISSING))
            for key in dict.fromkeys([*there, *here])
        ]
    lists = isinstance(there, list) and isinstance(here, list) and len(there) == len(here)
    if not lists or not all(isinstance(own, Mapping) for own in [*there, *here]):
        return None
    pairs = zip(there, here, strict=True)
    return [(str(k), own, other) for k, (own, other) in enumerate(pairs)]


def _shown(value: Any) -> str:
    text = setting_shown(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def setting_shown(text: str) -> str:
    """Return the text of an axis or a range as a user would write it; others as JSON.

    >>> setting_shown("uniform(50, 150) siemens/meter**2"), setting_shown("5..10 siemens/meter**2")
    ('uniform(5, 15) mS/cm**2', '0.5..1 mS/cm**2')
    """
    match = _SETTING.fullmatch(text)
    try:
        given = parse_unit(match["unit"]) if match else None
        numbers = [float(one) for one in re.split(r"\.\.|,", match["numbers"])] if match else []
    except ValueError:  # no unit, or no numbers: other text that looks like them
        given = None
    if match is None or given is None:
        return json.dumps(text)
    unit, kind = display_unit(given.dim), match["kind"]
    own = np.array(numbers) * (float(given) / float(parse_unit(unit)))
    if kind == "[":
        return short_row(own, "" if unit == "1" else unit)
    parts = [f"{number:.6g}" for number in own]
    found = f"{kind}{', '.join(parts)})" if kind else "..".join(parts)
    return found if unit == "1" else f"{found} {unit}"
