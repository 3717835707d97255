"""A process that reads one changed file after another; the runner starts it anew when it dies.

A case may use `SECONDS` of processor time and `BYTES` of memory beyond what was used before it.
The timer is the kernel's own, so a loop in a C library ends too.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import traceback
import warnings
from pathlib import Path

SECONDS = 20
BYTES = 3_000_000_000


def outcome(name: str, path: Path) -> tuple[str, str]:
    """Read a file; return what came of it, ``read``, ``refused`` or ``raised``, and its text."""
    from dendrosim.errors import DendrosimError
    from fuzz import kinds

    try:
        kinds.KINDS[name].read(path)
    except DendrosimError as error:
        return "refused", str(error)
    except BaseException:
        return "raised", traceback.format_exc(limit=-4)
    return "read", ""


def main() -> None:
    """Read lines ``[kind, number]`` from the standard input, and answer each with a line."""
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    from fuzz.kinds import KINDS, case, seeds_of

    folder = Path(sys.argv[1])
    os.chdir(folder)
    kept: dict[str, list[bytes]] = {name: seeds_of(name) for name in KINDS}
    for name, files in kept.items():  # imports count for no case
        path = folder / f"good{KINDS[name].ending}"
        path.write_bytes(files[0])
        outcome(name, path)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        name, number = json.loads(line)
        path = folder / f"case{KINDS[name].ending}"
        path.write_bytes(case(name, number, kept[name]))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        found = outcome(name, path)
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    main()
