"""The commands of the package, `python -m lulc_utils COMMAND ...`, and their exit status.

A command is a module with `add_options(parser)` and `run(options)`, imported only when it is called, so that
`doctor` works where other modules cannot be imported. Exit status:

    0     done
    1     it failed, or a check found something: no network, a full disk, a file that does not fit its hash
    2     wrong input: the sentence says what is wrong and what to do
    130   stopped with Ctrl-C
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Command(NamedTuple):
    """The module of a command, what it does, and what it says when it is stopped."""

    module: str
    about: str
    stopped: str = "Stopped; only complete files are kept. Run the same command again."


CONTINUES = "Stopped; run the same command again to continue."
STARTED = "Stopped; files that were complete are kept. Run the same command with --force to start anew."
COMMANDS = {
    "doctor": Command("doctor", "check this environment and say how to fix what is wrong"),
    "demo": Command("demo", "draw a simulated scene and map it: scene.tif, map.tif, map.png, map.html", STARTED),
    "data": Command("data.command", "list, fetch and verify the real data sets", "Stopped; complete files are kept."),
    "place": Command("places.command", "read a place on Earth as a GeoTIFF: Sentinel-2 and ESA WorldCover"),
    "map": Command("mapping.command", "map a raster of your own with a saved model", CONTINUES),
    "dino": Command("dino.command", "train a backbone on aerial images without labels", CONTINUES),
    "contrastive": Command("contrastive.command", "train a U-Net on satellite images with no or few labels", CONTINUES),
}
WRONG_INPUT = (ValueError, FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command with the options that follow it; returns the exit status (see above)."""
    name, *rest = (sys.argv[1:] if arguments is None else list(arguments)) or ["--help"]
    if name in ("-h", "--help"):
        print(_usage())
        return 0
    if name not in COMMANDS:
        print(f"There is no command '{name}'.\n{_usage()}", file=sys.stderr)
        return 2
    command = COMMANDS[name]
    module = importlib.import_module(f"lulc_utils.{command.module}")
    about = f"{command.about[0].upper()}{command.about[1:]}."
    parser = argparse.ArgumentParser(f"python -m lulc_utils {name}", description=about)
    module.add_options(parser)
    options = parser.parse_args(rest)
    options.command_line = shlex.join(["python", "-m", "lulc_utils", name, *rest])
    return exit_status(lambda: module.run(options), command.stopped)


def exit_status(run: Callable[[], int | None], stopped: str = "Stopped.") -> int:
    """Call a function; its exit status, after one sentence on what went wrong. Unforeseen errors are raised."""
    try:
        status = run() or 0
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `data list | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except UnicodeEncodeError as error:
        return _said(f"error: {ascii(error.object)} holds bytes that are not UTF-8; rename the file.", 2)
    except WRONG_INPUT as error:
        return _said(f"error: {_sentence(error)}", 2)
    except MemoryError as error:
        return _said(f"error: There is not enough memory; ask for less. {error}".strip(), 1)
    except (OSError, RuntimeError, ModuleNotFoundError) as error:
        return _said(f"error: {_sentence(error)}", 2 if getattr(error, "errno", None) == errno.ENAMETOOLONG else 1)
    except KeyboardInterrupt:
        return _said(stopped, 130)


def _sentence(error: Exception) -> str:
    """The error in words; the system's own errors, which nobody has put into a sentence, with the name of the file."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{str(error.filename)[:100]} cannot be used: {error.strerror.lower()}."
    return str(error)


def _said(text: str, status: int) -> int:
    if os.environ.get("RANK", "0") == "0":  # once, however many processes torchrun started
        print(text, file=sys.stderr)
    return status


def _usage() -> str:
    lines = [f"  {name:13}{command.about}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: python -m lulc_utils COMMAND ... (COMMAND --help says more)", "", *lines])
