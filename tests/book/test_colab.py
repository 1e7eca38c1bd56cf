"""A chapter opened on Colab finds all it needs there; the rehearsal that proves it does what it says."""

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import stamp
from packaging.requirements import Requirement

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MODULES = {"scikit-learn": "sklearn", "pyyaml": "yaml", "pillow": "PIL"}

spec = importlib.util.spec_from_file_location("colab_rehearsal", ROOT / "scripts" / "tools" / "colab_rehearsal.py")
colab = importlib.util.module_from_spec(spec)
spec.loader.exec_module(colab)


def code(path):
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    return ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]


def imported(text):
    """Modules that a file imports whenever it is imported or run: not those inside functions or `try`."""
    modules = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add(node.module.split(".")[0])
    return modules - set(sys.stdlib_module_names) - {"lulc_utils"}


# --------------------------------------------------------------------------------------------- what Colab has


def test_our_requirements_admit_the_versions_of_colab():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    versions = colab.preinstalled()
    for requirement in map(Requirement, project["dependencies"]):
        version = versions.get(requirement.name)
        assert version, f"{requirement.name} is not among what Colab has"
        assert requirement.specifier.contains(version), f"Colab's {requirement.name} {version} is refused"


def test_chapters_and_package_import_nothing_that_colab_lacks():
    packages = {MODULES.get(name, name).lower() for name in colab.preinstalled()}
    files = {path: path.read_text(encoding="utf8") for path in (ROOT / "lulc_utils").rglob("*.py")}
    for path in NOTEBOOKS:
        files[path] = "\n".join(text for text in code(path)[1:])  # the first cell holds a magic
    for path, text in files.items():
        lacking = {name for name in imported(text) if name.lower() not in packages}
        assert not lacking, f"{path.relative_to(ROOT)} imports {', '.join(sorted(lacking))}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_gpu_is_asked_for_exactly_where_the_parameters_use_one(path):
    """With device = "cpu" a graphics card would stand idle, and the reader's share of the free ones would be spent."""
    metadata = json.loads(path.read_text(encoding="utf8"))["metadata"]
    parameters = ast.parse(code(path)[1])
    chosen = {n.targets[0].id: ast.literal_eval(n.value) for n in parameters.body if isinstance(n, ast.Assign)}
    wants = chosen.get("device", "cpu") != "cpu"
    assert metadata.get("accelerator") == ("GPU" if wants else None)
    assert metadata["colab"].get("gpuType") == ("T4" if wants else None)
    assert metadata["colab"]["toc_visible"] is True and metadata["kernelspec"]["name"] == "python3"


# ---------------------------------------------------------------------------------------------- the rehearsal


def test_a_version_that_is_not_available_is_replaced_by_an_older_one_and_named():
    have = {"torch==2.11.0": "2.11.0", "rasterio<=1.5.1": "1.4.4"}
    chosen, replaced = colab.installable({"torch": "2.11.0", "rasterio": "1.5.1"}, have.get)
    assert chosen == {"torch": "2.11.0", "rasterio": "1.4.4"}
    assert replaced == ["rasterio 1.4.4 replaces 1.5.1, which is not available for this Python."]
    with pytest.raises(SystemExit, match="Neither timm 9 nor an older version"):
        colab.installable({"timm": "9"}, have.get)


def test_only_our_package_may_be_added():
    before = {"numpy": "2.1.3", "torch": "2.11.0"}
    assert colab.unwanted(before, before | {"lulc-utils": "0.1.0"}) == []
    assert colab.unwanted(before, before) == ["lulc-utils was not installed"]
    wrong = colab.unwanted(before, {"numpy": "2.4.0", "lulc-utils": "0.1.0", "dask": "1"})
    assert wrong == ["dask 1 was added", "numpy 2.1.3 became 2.4.0", "torch 2.11.0 became nothing"]


def test_the_address_of_the_first_cell_leads_to_the_working_tree(tmp_path):
    name, ref = stamp.repository()
    address = re.search(r"git\+(https://\S+)@([\w.-]+)\"", code(NOTEBOOKS[0])[0])
    assert address[1] == f"https://github.com/{name}" and address[2] == ref
    copy = colab.snapshot(tmp_path / "copy", ref)
    env = colab.surroundings(tmp_path, copy, name)
    clone = ["git", "clone", "--quiet", "--branch", address[2], address[1], str(tmp_path / "clone")]
    subprocess.run(clone, check=True, env=env)
    for file in (
        "pyproject.toml",
        "lulc_utils/doctor/__init__.py",
        "book/measured",
        "data_manifest/datasets.yaml",
        "README.md",
    ):
        assert (tmp_path / "clone" / file).exists(), file
    assert not (tmp_path / "clone" / ".venv").exists()
    assert (tmp_path / "clone" / "pyproject.toml").read_text() == (ROOT / "pyproject.toml").read_text()


def test_nothing_of_this_machine_reaches_the_notebook(tmp_path, monkeypatch):
    for name in ("LULC_DATA_MIRROR", "PYTHONPATH", "JUPYTER_PATH", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "/somewhere")
    env = colab.surroundings(tmp_path, tmp_path, "a/b")
    assert "/somewhere" not in env.values() and env["LULC_OFFLINE"] == "1" and env["PATH"] == os.environ["PATH"]
    assert env["LULC_DATA_DIR"].startswith(str(tmp_path))


def test_a_package_that_is_already_there_fails_the_rehearsal(tmp_path):
    """In this environment lulc_utils can be imported, so nothing about Colab would be shown."""
    wrong = colab.rehearse("00_start_here", Path(sys.executable), ROOT, tmp_path, dict(os.environ))
    assert wrong and "before the first cell" in wrong[0]


def test_an_unknown_chapter_is_named(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["colab_rehearsal.py", "99_nowhere"])
    with pytest.raises(SystemExit):
        colab.main()
    assert "no chapter 99_nowhere" in capsys.readouterr().err
