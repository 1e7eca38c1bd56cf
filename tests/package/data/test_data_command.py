"""Names, folders and the command line."""

import re
from pathlib import Path

import pooch
import pytest
import yaml
from data_server import child

from lulc_utils import data
from lulc_utils.cli import main
from lulc_utils.data import manifest


def test_a_reader_that_hangs_up_sees_no_traceback(tiny):
    process = child(tiny, "list")
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait(10) == 0


def test_unknown_names_are_one_sentence():
    with pytest.raises(ValueError, match="did you mean 'dubai'.*terramesh, satclip, uc-merced"):
        data.fetch("dubia")
    for call in (data.about, data.verify, data.missing):
        with pytest.raises(ValueError, match="There is no dataset 'nothing'"):
            call("nothing")
    with pytest.raises(ValueError, match="has no file 'classes.txt'"):
        data.fetch("dubai", files=["classes.txt"])
    for tile in (0, 9):
        with pytest.raises(ValueError, match=f"tiles 1 to 8, not {tile}"):
            data.dubai([1, tile])


def test_command_line_fetch_list_info_verify(tiny, capsys):
    assert main(["data", "verify", "tiny"]) == 1
    assert "missing  one.bin" in capsys.readouterr().out
    assert main(["data", "fetch", "all", "--workers", "2"]) == 0
    said = capsys.readouterr()
    assert "complete, 5 files in" in said.out and "100%" in said.err
    assert main(["data", "fetch", "tiny", "book", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["data", "list"]) == 0
    assert re.search(r"tiny +5 +0\.1 +5/5 +none", capsys.readouterr().out)
    assert main(["data", "info", "tiny"]) == 0
    assert "Made up." in capsys.readouterr().out
    assert main(["data", "verify", "tiny"]) == 0
    assert "5 of 5" in capsys.readouterr().out
    (data.cache_folder() / "tiny" / "five.txt").write_bytes(b"FIVE\n")
    assert main(["data", "verify", "tiny"]) == 1
    assert "wrong    five.txt" in capsys.readouterr().out


def test_the_sets_of_the_book_are_those_with_a_chapter(monkeypatch, tmp_path):
    sets = {"dubai": {"used_in": [0, 2]}, "spare": {"used_in": []}, "eurosat": {"used_in": [4]}}
    (tmp_path / "datasets.yaml").write_text(yaml.safe_dump({"datasets": sets}))
    monkeypatch.setattr(manifest, "manifest_folder", lambda: tmp_path)
    assert manifest.used() == ["dubai", "eurosat"]


def test_command_line_errors_are_one_line_and_have_a_status(no_network, capsys):
    for arguments, status in [
        (["fetch", "tiny", "--quiet"], 1),
        (["fetch", "tiny", "tinny"], 2),
        (["info", "tinny"], 2),
        (["verify", "tinny"], 2),
    ]:
        assert main(["data", *arguments]) == status
        said = capsys.readouterr()
        assert said.out == "" and said.err.count("\n") == 1 and "Traceback" not in said.err
    for arguments in ([], ["fetch"], ["fetch", "tiny", "--workers", "many"], ["download"]):
        with pytest.raises(SystemExit) as caught:
            main(["data", *arguments])
        assert caught.value.code == 2
    with pytest.raises(SystemExit) as caught:
        main(["data", "--help"])
    assert caught.value.code == 0


def test_cache_folder_follows_the_platform_or_the_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("LULC_DATA_DIR", str(tmp_path / "here"))
    assert data.cache_folder() == tmp_path / "here"
    monkeypatch.delenv("LULC_DATA_DIR")
    assert data.cache_folder() == Path(pooch.os_cache("lulc-utils"))
