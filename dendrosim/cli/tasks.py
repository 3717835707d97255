"""The command ``tasks``: lists the tasks for training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dendrosim.cli.options import JSON, print_json

if TYPE_CHECKING:
    from dendrosim.learn.tasks.builder import Builder


@click.command()
@JSON
def tasks(as_json: bool) -> None:
    """List the tasks that networks are trained on, with their sizes."""
    from dendrosim.learn.tasks import TASKS
    from dendrosim.tables import aligned

    builders = TASKS.values()
    if as_json:
        print_json([_facts(builder) for builder in builders])
        return
    columns = {
        "task": [builder.name for builder in builders],
        "steps x inputs > classes": ["{:,} x {} > {}".format(*b.shape) for b in builders],
        "train / validation / test": ["{:,} / {:,} / {:,}".format(*b.samples) for b in builders],
    }
    click.echo("\n".join(aligned(columns)))
    width = max(len(builder.name) for builder in builders)
    click.echo("")
    for builder in builders:
        click.echo(f"{builder.name:{width}}  {builder.title}")
    click.echo("\nSizes with the default options; --json has the options, sources and data needed.")


def _facts(builder: Builder) -> dict[str, Any]:
    return {
        "name": builder.name,
        "title": builder.title,
        "reference": builder.reference,
        **dict(zip(("steps", "n_in", "n_out"), builder.shape, strict=True)),
        **dict(zip(("train", "validation", "test"), builder.samples, strict=True)),
        "data": builder.data or None,
        "options": builder.options,
    }
