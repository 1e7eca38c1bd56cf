"""One door to the commands of the package: `python -m lulc_utils COMMAND ...`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

COMMANDS = {  # command: (module whose `main` runs it, what it does)
    "doctor": ("doctor", "look at this environment and say how to mend what does not fit"),
    "demo": ("demo", "draw a simulated scene and map it: scene.tif, map.tif, map.png, map.html"),
    "data": ("data", "list, fetch and verify the real data sets"),
    "map": ("mapping.command", "map a raster of your own with a saved model"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command with what follows it; returns its exit status, 2 for an unknown command."""
    command, *rest = (sys.argv[1:] if arguments is None else list(arguments)) or ["--help"]
    if command not in COMMANDS:
        lines = [f"  {name:8}{about}" for name, (_, about) in COMMANDS.items()]
        usage = "\n".join(["usage: python -m lulc_utils COMMAND ... (COMMAND --help tells more)", "", *lines])
        asked = command in ("-h", "--help")
        print(
            usage if asked else f"There is no command '{command}'.\n{usage}", file=sys.stdout if asked else sys.stderr
        )
        return 0 if asked else 2
    run = importlib.import_module(f"lulc_utils.{COMMANDS[command][0]}").main
    return run(rest)


if __name__ == "__main__":
    sys.exit(main())
