"""The workflows, Binder and Dependabot files: valid, with least permissions, and naming only what exists."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WRITES = {  # the only jobs that may do more than read the repository, and why
    ("pages", "stamp"): {"contents": "write"},  # commits a fork's links
    ("pages", "deploy"): {"pages": "write", "id-token": "write"},
    ("weekly", "report"): {"issues": "write"},
    ("release", "tag"): {"contents": "write"},
    ("release", "release"): {"contents": "write"},
}
REPOSITORY = "${{ github.server_url }}/${{ github.repository }}"

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf8"))


def named(name):
    return load(ROOT / ".github" / "workflows" / f"{name}.yml")


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def shell(workflow):
    return [step["run"] for step in steps(workflow) if "run" in step]


def test_there_are_workflows_for_tests_pages_every_week_and_releases():
    assert {path.stem for path in WORKFLOWS} == {"test", "pages", "weekly", "release"}


@each_workflow
def test_workflows_have_triggers_timeouts_and_do_not_run_twice(path):
    workflow = load(path)
    assert workflow["name"] == path.stem and workflow[True], "YAML 1.1 reads the key `on` as True"
    assert workflow["concurrency"]["group"] and isinstance(workflow["concurrency"]["cancel-in-progress"], bool)
    for name, job in workflow["jobs"].items():
        assert 1 <= job["timeout-minutes"] <= 120, name
        assert job["runs-on"] == "ubuntu-latest" and job["steps"], name
        needs = job.get("needs", [])
        assert set([needs] if isinstance(needs, str) else needs) <= set(workflow["jobs"]), name


@each_workflow
def test_every_job_has_the_least_permissions(path):
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert job.get("permissions") == WRITES.get((path.stem, name)), name


@each_workflow
def test_actions_are_githubs_own_and_pinned_to_a_major_version(path):
    for step in steps(load(path)):
        assert ("uses" in step) != ("run" in step)
        assert "uses" not in step or re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]), step


@each_workflow
def test_commands_are_valid_shell_and_nothing_from_outside_is_pasted_into_them(path):
    for text in shell(load(path)):
        assert "${{" not in text, "pass it through env: pasted into a script it could be a command"
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / ".ci" / "run"], ids=lambda p: p.stem)
def test_commands_name_only_targets_scripts_and_tests_that_exist(path):
    targets = set(re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(encoding="utf8"), re.M))
    for text in shell(load(path)) if path.suffix else [path.read_text(encoding="utf8")]:
        for made in re.findall(r"\bmake ([^&|;\n'#]+)", text):
            assert set(made.split()) <= targets, made
        for name in re.findall(r"(?<!\S)(?:book|scripts|tests)/[\w./]+", text):
            assert (ROOT / name).exists(), name
        for module in re.findall(r"-m (lulc_utils[\w.]*)", text):
            assert importlib.util.find_spec(module), module


def test_the_whole_book_is_built_before_its_pages_are_tested_and_uploaded():
    for workflow, job in (("test", "book"), ("release", "build"), ("weekly", "newest")):
        job = named(workflow)["jobs"][job]
        runs = [step.get("run", "") for step in job["steps"]]
        assert runs.index("make book") < runs.index("make test"), workflow
        assert job["env"]["LULC_BROWSER"] == "required", "the tests in the browser may not be skipped"
    failed = [step for step in named("test")["jobs"]["book"]["steps"] if "upload-artifact" in step.get("uses", "")]
    assert failed and failed[0]["if"] == "${{ !cancelled() }}" and failed[0]["with"]["path"] == "_build/html"


# ------------------------------------------------------------------------------------------ where links lead


@pytest.mark.parametrize("name", ["pages", "release"])
def test_what_is_published_points_at_the_repository_that_publishes_it(name):
    workflow = named(name)
    assert workflow["env"]["LULC_REPOSITORY"] == REPOSITORY and "ref_name" in workflow["env"]["LULC_REF"]
    first, *others = workflow["jobs"].values()
    assert any("python scripts/tools/stamp.py" in step.get("run", "") for step in first["steps"])
    assert others[0]["needs"] == next(iter(workflow["jobs"]))
    assert "LULC_REPOSITORY" not in (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf8")


@pytest.fixture
def clone(tmp_path):
    """A clone of the working tree with a remote that can be pushed to, as a runner has it."""
    spec = importlib.util.spec_from_file_location("colab_rehearsal", ROOT / "scripts" / "tools" / "colab_rehearsal.py")
    rehearsal = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rehearsal)
    source = rehearsal.snapshot(tmp_path / "source", "main")
    for command in (["clone", "--quiet", "--bare", source, "remote"], ["clone", "--quiet", "remote", "work"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def run_step(folder, workflow, job, name, **env):
    """Execute the script of one step in a clone; returns what it wrote as outputs."""
    (step,) = [s for s in named(workflow)["jobs"][job]["steps"] if s.get("name", "").startswith(name)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "GITHUB_OUTPUT": str(folder / "outputs"), **env}
    subprocess.run(["bash", "-e", "-c", step["run"]], cwd=folder / "work", check=True, env=env)
    return (folder / "outputs").read_text() if (folder / "outputs").exists() else ""


def git(folder, *arguments):
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_a_fork_commits_its_links_once_and_the_home_of_the_book_never(clone):
    home = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))["repository"]
    before = git(clone / "remote", "rev-parse", "main")
    own = {"LULC_REPOSITORY": home["url"], "LULC_REF": home["branch"]}
    assert run_step(clone, "pages", "stamp", "Point all links", **own).strip() == f"commit={before}"
    assert git(clone / "remote", "rev-parse", "main") == before
    foreign = {"LULC_REPOSITORY": "https://github.com/test-owner/test-fork", "LULC_REF": "main"}
    for _ in range(2):
        run_step(clone, "pages", "stamp", "Point all links", **foreign)
        assert git(clone / "remote", "rev-list", "--count", "main") == "2"
    first = git(clone / "remote", "show", "main:notebooks/00_start_here.ipynb")
    assert "git+https://github.com/test-owner/test-fork@main" in first


def test_a_release_started_by_hand_tags_a_commit_that_names_the_tag(clone):
    url = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))["repository"]["url"]
    run_step(clone, "release", "tag", "Stamp and tag", LULC_REPOSITORY=url, LULC_REF="v9.9.9")
    assert "@v9.9.9" in git(clone / "remote", "show", "v9.9.9:notebooks/00_start_here.ipynb")
    assert "@v9.9.9" not in git(clone / "remote", "show", "main:notebooks/00_start_here.ipynb")


def test_a_tag_must_be_the_version_of_the_package(clone):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]["version"]
    run_step(clone, "release", "tag", "The tag must be", LULC_REF=f"v{version}")
    with pytest.raises(subprocess.CalledProcessError):
        run_step(clone, "release", "tag", "The tag must be", LULC_REF="v999.0.0")


def test_the_weekly_run_reports_every_job_in_one_issue():
    jobs = named("weekly")["jobs"]
    report = jobs.pop("report")
    assert set(report["needs"]) == set(jobs) and report["if"] == "${{ failure() }}"
    assert all(f"needs.{name}.result" in report["env"]["RESULTS"] for name in jobs)
    text = report["steps"][0]["run"]
    assert "gh issue list" in text and text.index("gh issue comment") < text.index("gh issue create")


def test_the_link_check_runs_no_notebook_and_tries_again(tmp_path):
    (step,) = [s for s in named("weekly")["jobs"]["links"]["steps"] if "linkcheck" in s.get("run", "")]
    config = (ROOT / "_config.yml").read_text(encoding="utf8")
    (tmp_path / "_config.yml").write_text(config, encoding="utf8")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "jupyter-book").symlink_to("/bin/true")
    subprocess.run(["bash", "-e", "-c", step["run"]], cwd=tmp_path, check=True)
    made, expected = load(tmp_path / "_config.links.yml"), yaml.safe_load(config)
    assert made["execute"].pop("execute_notebooks") == "off" and expected["execute"].pop("execute_notebooks") == "force"
    added = {"linkcheck_anchors": False, "linkcheck_retries": 3, "linkcheck_timeout": 30}
    expected["sphinx"]["config"] = added | expected["sphinx"]["config"]
    assert made == expected


# ------------------------------------------------------------------------------------- Binder and Dependabot


def test_binder_has_the_requirements_of_the_package():
    environment = load(ROOT / "binder" / "environment.yml")["dependencies"]
    conda = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))
    for requirement in map(Requirement, project["project"]["dependencies"]):
        assert f"{conda.get(requirement.name, requirement.name)}{requirement.specifier}" in environment
    assert set(project["build-system"]["requires"]) <= set(environment), "the wheel is built without the network"
    post = ROOT / "binder" / "postBuild"
    assert os.access(post, os.X_OK) and "--no-deps" in post.read_text(encoding="utf8")
    assert subprocess.run(["bash", "-n", str(post)]).returncode == 0


def test_dependabot_leaves_jupyter_book_at_1():
    updates = {u["package-ecosystem"]: u for u in load(ROOT / ".github" / "dependabot.yml")["updates"]}
    assert {"pip", "github-actions"} <= set(updates)
    assert {"dependency-name": "jupyter-book", "versions": [">=2"]} in updates["pip"]["ignore"]


def test_our_own_run_of_everything_is_valid_shell():
    path = ROOT / ".ci" / "run"
    assert os.access(path, os.X_OK) and subprocess.run(["bash", "-n", str(path)]).returncode == 0
