"""The command ``cache``: lists, limits and clears the cache of compiled programs."""

from __future__ import annotations

import time

import click

from dendrosim.cli.options import JSON, print_json
from dendrosim.errors import DendrosimError

LISTED = 20
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@click.command()
@click.option("--limit", metavar="SIZE", help='Remove the least recently used beyond, as "2 GB".')
@click.option("--clear", is_flag=True, help="Remove all.")
@JSON
def cache(limit: str | None, clear: bool, as_json: bool) -> None:
    """List the cache of compiled programs, kernels, headers and Cython modules.

    Removed entries are compiled again when they are needed.  The cache is the folder
    $DENDROSIM_CACHE, or dendrosim in the user's cache folder.
    """
    from dendrosim.cli.show import table
    from dendrosim.devices import program_cache

    if clear and limit is not None:
        raise DendrosimError("--clear removes all; --limit cannot be given with it")
    most = 0 if clear else None if limit is None else _bytes(limit)
    removed = [] if most is None else program_cache.limit_to(most)
    entries = program_cache.entries()
    size = sum(entry.bytes for entry in entries)
    if as_json:
        print_json({
            "folder": str(program_cache.cache_folder()), "bytes": size,
            "removed": [entry.name for entry in removed],
            "entries": [entry._asdict() for entry in entries],
        })  # fmt: skip
        return
    if removed:
        click.echo(f"removed {len(removed)} of {len(removed) + len(entries)} entries")
    if entries:
        rows = [[e.kind, e.name, f"{e.bytes / 1e6:.1f}", _ago(e.used)] for e in entries[:LISTED]]
        click.echo(table(["kind", "entry", "MB", "last used"], rows))
    more = f", the {LISTED} last used are listed" if len(entries) > LISTED else ""
    click.echo(f"{program_cache.cache_folder()}: {len(entries)} entries, {size / 1e6:.1f} MB{more}")


def _bytes(text: str) -> int:
    number = text.strip().rstrip("BKMGTbkmgt").strip()
    unit = text.strip()[len(number) :].strip().upper() or "B"
    try:
        size = float(number) * _BYTES[unit]
    except (ValueError, KeyError):
        size = -1.0
    if not 0 <= size < 1e18:
        raise DendrosimError(f"--limit {text!r} is not a size such as '500 MB' or '2 GB'")
    return int(size)


def _ago(when: float) -> str:
    seconds = max(0.0, time.time() - when)
    for length, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {word}{'s' if number > 1 else ''} ago"
    return "just now"
