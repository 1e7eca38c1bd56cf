"""Every link of the book is made from one repository and one branch or tag; stale ones are refused."""

import shutil
import sys
from pathlib import Path

import pytest
import stamp
import yaml
from jupyter_book.config import get_final_config

ROOT = Path(__file__).resolve().parents[2]
FORK = {"LULC_REPOSITORY": "https://github.com/someone/my-fork", "LULC_REF": "v9.1"}


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """What has links, in another folder; the environment names nothing."""
    for name in FORK:
        monkeypatch.delenv(name, raising=False)
    for path in [*ROOT.glob("*.md"), *ROOT.glob("book/*.md"), *ROOT.glob("notebooks/*.ipynb"), ROOT / "_config.yml"]:
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    monkeypatch.setattr(stamp, "ROOT", tmp_path)
    return tmp_path


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["stamp.py", *arguments])
    return stamp.main()


def test_what_is_committed_is_stamped(copy, monkeypatch):
    assert run(monkeypatch, "--check") == 0


@pytest.mark.parametrize("page", ["README.md", "notebooks/03_contrastive_pretraining.ipynb", "book/how_to_use.md"])
def test_one_stale_link_is_refused_and_named(copy, monkeypatch, capsys, page):
    path = copy / page
    text = path.read_text(encoding="utf8")
    path.write_text(text.replace(stamp.repository()[0], "old/home", 1), encoding="utf8")
    assert run(monkeypatch, "--check") == 1
    assert page in capsys.readouterr().out


def test_a_fork_or_a_tag_is_written_everywhere(copy, monkeypatch, capsys):
    home = stamp.repository()[0]
    for name, value in FORK.items():
        monkeypatch.setenv(name, value)
    assert run(monkeypatch, "--check") == 1, "links to the old place are stale now"
    assert run(monkeypatch) == 0 and run(monkeypatch, "--check") == 0
    for name in FORK:
        monkeypatch.delenv(name)
    assert stamp.repository() == ("someone/my-fork", "v9.1"), "_config.yml says so without the environment, too"
    assert run(monkeypatch, "--check") == 0
    for path in copy.rglob("*.*"):
        assert home not in path.read_text(encoding="utf8"), path
    first = (copy / "notebooks" / "00_start_here.ipynb").read_text(encoding="utf8")
    assert "git+https://github.com/someone/my-fork@v9.1" in first
    assert "colab.research.google.com/github/someone/my-fork/blob/v9.1/notebooks/00_start_here.ipynb" in first


def test_the_buttons_of_the_theme_follow(copy, monkeypatch):
    for name, value in FORK.items():
        monkeypatch.setenv(name, value)
    before = yaml.safe_load((copy / "_config.yml").read_text(encoding="utf8"))
    run(monkeypatch)
    after = yaml.safe_load((copy / "_config.yml").read_text(encoding="utf8"))
    assert after["repository"] == {"url": FORK["LULC_REPOSITORY"], "branch": "v9.1"}
    assert {k: v for k, v in after.items() if k != "repository"} == {
        k: v for k, v in before.items() if k != "repository"
    }
    sphinx, _ = get_final_config(
        user_yaml=copy / "_config.yml", sourcedir=ROOT, cli_config={"latex_individualpages": False}
    )  # as `jupyter-book build` makes it
    theme = sphinx["html_theme_options"]
    assert theme["repository_url"] == FORK["LULC_REPOSITORY"] and theme["repository_branch"] == "v9.1"
    assert theme["launch_buttons"]["colab_url"] == "https://colab.research.google.com"


def test_stamping_there_and_back_changes_nothing(copy, monkeypatch):
    texts = {path: path.read_text(encoding="utf8") for path in copy.rglob("*.*")}
    home = dict(zip(FORK, ("https://github.com/" + stamp.repository()[0], stamp.repository()[1]), strict=True))
    for place in (FORK, home):
        for name, value in place.items():
            monkeypatch.setenv(name, value)
        run(monkeypatch)
    assert {path: path.read_text(encoding="utf8") for path in copy.rglob("*.*")} == texts


def test_other_repositories_are_left_alone():
    text = "https://github.com/facebookresearch/dino https://github.com/a/b-other https://github.com/a/b/issues"
    new = stamp.stamped(text, "me/mine", "v2", before="a/b")
    assert (
        new == "https://github.com/facebookresearch/dino https://github.com/a/b-other https://github.com/me/mine/issues"
    )
    assert stamp.stamped("https://github.com/a/b/blob/main/x.py", "a/b", "v2", "a/b").endswith("a/b/blob/v2/x.py")
    clone = stamp.stamped("git clone https://github.com/a/b\ncd b\nmake book", "me/mine", "v2", "a/b")
    assert clone == "git clone https://github.com/me/mine\ncd mine\nmake book"
    assert stamp.stamped("mybinder.org/v2/gh/x/y/z?urlpath=lab", "a/b", "v2") == "mybinder.org/v2/gh/a/b/v2?urlpath=lab"


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("LULC_REPOSITORY", "https://example.org/a/b", "not of the form https://github.com/OWNER/NAME"),
        ("LULC_REF", "feature/x", "take a name without slashes"),
    ],
)
def test_an_address_that_colab_cannot_open_is_refused(copy, monkeypatch, variable, value, sentence):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit, match=sentence):
        run(monkeypatch)
