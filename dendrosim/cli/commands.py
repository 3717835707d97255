"""The command line: short commands that call the functions of the package."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from types import FrameType

import click

from dendrosim import shelves
from dendrosim._version import __version__
from dendrosim.cli.analyse import analyse, citation, energy, papers
from dendrosim.cli.bench import bench
from dendrosim.cli.cache import cache
from dendrosim.cli.fit import fit
from dendrosim.cli.generate import generate
from dendrosim.cli.learn import evaluate, recipes, train
from dendrosim.cli.networks import convert, verify
from dendrosim.cli.options import JSON, print_json
from dendrosim.cli.reduce import reduce_command
from dendrosim.cli.simulate import compare, demo, run
from dendrosim.cli.sweep import sweep
from dendrosim.cli.tasks import tasks
from dendrosim.errors import DendrosimError

#: Error numbers of a full disk, an exceeded quota, a file size limit and a broken device.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, or 2 with one line on stderr for bad input.

    A command may define other statuses, see `verify`.
    """
    # Brian2 2.8 causes this warning of setuptools with every command
    warnings.filterwarnings("ignore", "_get_vc_env is private", UserWarning)
    _end_on_sigterm()
    if arguments is None:
        arguments = sys.argv[1:]
        # Brian2 writes them to its log, but a file name may not be valid UTF-8
        sys.argv = [_printable(argument) for argument in sys.argv]
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = commands.main(args=arguments, prog_name="dendrosim", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()  # now, while an error can still be reported
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.ctx.get_help())
        return 0
    except click.ClickException as error:
        return _refuse(error.format_message().rstrip("."))
    except DendrosimError as error:
        return _refuse(str(error))
    except (KeyboardInterrupt, click.Abort) as stop:
        # click raises its own exception from the first one, which may say how to go on
        return _refuse(f"stopped{stop.__cause__ or stop}", 130)
    except BrokenPipeError:  # the reader of a pipe has closed it, which is no error
        _drop_output()
        return 0
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None:
            raise
        _drop_output()
        return _refuse(f"the output cannot be written ({error.strerror})")
    return status or 0  # click returns the exit status of a command


def _end_on_sigterm() -> None:
    """Handle SIGTERM, which schedulers send, like Ctrl-C, so that temporary files are removed."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)


def _refuse(message: str, status: int = 2) -> int:
    line = _printable(f"dendrosim: {' '.join(message.split())}")
    with contextlib.suppress(OSError):  # if stderr is not writable, only the status remains
        print(line, file=sys.stderr, flush=True)
    return status


def _printable(text: str) -> str:
    """Return a text with escapes for those bytes of file names that are not valid UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _drop_output() -> None:
    """Discard the remaining output; otherwise Python fails again when it flushes it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 96})
@click.version_option(__version__, message="dendrosim %(version)s")
def commands() -> None:
    """From ion channels to trained spiking circuits, in Brian2.

    A model is a TOML file: give a name from `dendrosim models`, a name with a variant
    (kepecs_wang_2000:printed_nap), or the path of your own file.
    """


for command in (
    analyse, bench, cache, citation, compare, convert, demo, energy, evaluate, fit, generate,
    papers, recipes, reduce_command, run, sweep, tasks, train, verify,
):  # fmt: skip
    commands.add_command(command)


def _listing(kind: str, as_json: bool) -> None:
    rows = []
    for name in shelves.names(kind):
        table = shelves.read_toml(shelves.find(name, kind))
        rows.append({"name": name, "title": table.get("title", "")})
        if kind == "models":
            rows[-1] |= {"kind": table["kind"], "variants": sorted(table.get("variants", {}))}
    if as_json:
        print_json(rows)
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        click.echo(f"{row['name']:{width}}  {row['title']}")


@commands.command("models")
@JSON
def list_models(as_json: bool) -> None:
    """List the models."""
    _listing("models", as_json)


@commands.command("protocols")
@JSON
def list_protocols(as_json: bool) -> None:
    """List the protocols."""
    _listing("protocols", as_json)


@commands.command()
@click.argument("name")
@JSON
def show(name: str, as_json: bool) -> None:
    """Show a model or protocol: equations, values with units and sources, citation."""
    from dendrosim.cli import show as pages
    from dendrosim.model.toml import load_model
    from dendrosim.simulation.protocol_files import load_protocol

    if _is_protocol(name):
        protocol = load_protocol(name)
        if as_json:
            click.echo(json.dumps(pages.protocol_table(protocol), indent=2))
        else:
            click.echo(pages.protocol_page(protocol))
        return
    model = load_model(name)
    if as_json:
        click.echo(json.dumps(pages.model_table(model), indent=2))
    else:
        click.echo(pages.model_page(model))


def _is_protocol(name: str) -> bool:
    if name.endswith(".toml"):
        return "duration" in (table := shelves.read_toml(shelves.find(name, "protocols"))) or (
            "stimuli" in table
        )
    models = shelves.names("models")
    protocols = shelves.names("protocols")
    if name.partition(":")[0] not in [*models, *protocols]:
        from dendrosim.errors import did_you_mean

        raise DendrosimError(
            f"{name!r} is neither a model nor a protocol; {did_you_mean(name, models + protocols)}"
        )
    return name in protocols
