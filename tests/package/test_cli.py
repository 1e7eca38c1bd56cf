"""One door to all commands, and one way to end."""

import runpy

import pytest

from lulc_utils import cli
from lulc_utils.data import DataUnavailable


def test_without_a_command_it_names_them_all(capsys):
    assert cli.main([]) == 0 and cli.main(["--help"]) == 0
    said = capsys.readouterr()
    assert all(f"  {name} " in said.out for name in cli.COMMANDS) and not said.err
    assert cli.main(["mpa"]) == 2
    assert "There is no command 'mpa'." in capsys.readouterr().err


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0 and f"usage: python -m lulc_utils {name} " in said
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--no-such-option"])
    assert end.value.code == 2 and "usage: python -m lulc_utils" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (ValueError("lr must be above 0."), 2, "error: lr must be above 0."),
        (FileNotFoundError("There is no file x."), 2, "error: There is no file x."),
        (PermissionError("You may not write x."), 2, "error: You may not write x."),
        (FileExistsError("x is already there."), 2, "error: x is already there."),
        (
            FileNotFoundError(2, "No such file", "/x"),
            2,
            "error: /x cannot be used: no such file.",
        ),
        (OSError("There is no space for x."), 1, "error: There is no space for x."),
        (RuntimeError("Another run is writing x."), 1, "error: Another run is writing x."),
        (DataUnavailable("The network is forbidden."), 1, "error: The network is forbidden."),
        (MemoryError(), 1, "error: There is not enough memory; ask for less."),
        (KeyboardInterrupt(), 130, "Stopped; wait."),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_a_status(error, status, sentence, capsys):
    def run():
        raise error

    assert cli.exit_status(run, "Stopped; wait.") == status
    assert capsys.readouterr().err == f"{sentence}\n"


def test_what_is_right_or_unforeseen_is_left_alone(capsys, monkeypatch):
    assert cli.exit_status(lambda: None) == 0 and cli.exit_status(lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):  # a fault of ours: its traceback must be seen
        cli.exit_status(lambda: 1 / 0)
    monkeypatch.setenv("RANK", "1")  # one of several processes: the first one says it
    assert cli.exit_status(lambda: int("x")) == 2 and capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["data", "dino", "mapping", "places", "contrastive"])
def test_the_packages_are_doors_to_the_same_commands(name, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [name, "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module(f"lulc_utils.{name}", run_name="__main__")
    assert end.value.code == 0 and "usage: python -m lulc_utils" in capsys.readouterr().out
