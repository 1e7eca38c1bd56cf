"""What all tests share: the scripts of the book can be imported; a browser that reaches no other machine."""

import json
import os
import shutil
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from watching import watch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / folder) for folder in ("scripts/tools", "scripts/measure/bench", "book/_ext")]
os.environ["OMP_NUM_THREADS"] = "1"  # tests run side by side; small networks lose to threads that wait for each other
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what it puts into the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk():
    """No test cuts the power, so nothing has to reach the disk itself; the processes that tests kill do sync."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_windows():
    """Pictures are drawn in memory. A setting of this process, not of the environment, which kernels would inherit."""
    import matplotlib  # not above: the process that only hands out tests needs neither this nor torch

    matplotlib.use("Agg")


@contextmanager
def threads(n):
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(n)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def one_thread():
    """Networks this small lose more to threads that wait for each other than they gain, above all when others work."""
    with threads(1):
        yield


@pytest.fixture
def two_threads():
    with threads(2):
        yield


# Not one browser for the whole session: Playwright keeps an event loop running while it is open, and the tests of
# other modules that start a loop of their own would fail. Starting Chromium takes about half a second.
@pytest.fixture(scope="module")
def browser():
    """The installed Chromium, without a window and with every host name unknown to it; nothing is downloaded.

    The test is skipped where there is none, and fails instead where LULC_BROWSER=required is set.
    """
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        refuse = pytest.fail if os.environ.get("LULC_BROWSER") == "required" else pytest.skip
        refuse(f"No browser: none of {', '.join(names)} is installed, and CHROMIUM does not name one.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--host-resolver-rules=MAP * ~NOTFOUND"])
        yield started
        started.close()


@pytest.fixture
def offline_page(browser):
    """A fresh page that can load nothing from other hosts.

    It remembers in `requests_out` the addresses it asked for in vain, and in `errors` what the console and the
    scripts complained about, except about those addresses.
    """
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    watch(page)
    yield page
    context.close()


@pytest.fixture
def tried(record_property):
    """tried("right", n): n inputs are tried here, and a test of tests/faults that passes means this of them."""
    return lambda kind, n=1: record_property("fault", f"{n} {kind}")


def pytest_terminal_summary(terminalreporter):
    """What came of the inputs that tests/faults tries; kept for the book where LULC_KEEP_FAULTS is set."""
    counts = faults_counted(terminalreporter.stats)
    if counts["tried"]:
        terminalreporter.write_sep("=", ", ".join(f"{name}: {n}" for name, n in counts.items()))
        if os.environ.get("LULC_KEEP_FAULTS"):
            (ROOT / "book" / "measured" / "faults.json").write_text(json.dumps(counts, indent=1) + "\n")


def faults_counted(stats):
    names = ("tried", "right", "refused plainly", "kept", "wrong", "tracebacks", "lost or half-written")
    counts = dict.fromkeys(names, 0)
    for report in [*stats.get("passed", []), *stats.get("failed", []), *stats.get("error", [])]:
        for n, kind in [
            value.split(" ", 1) for name, value in getattr(report, "user_properties", []) if name == "fault"
        ]:
            if report.failed:
                kind = "lost or half-written" if kind == "kept" else "wrong"
                if kind == "wrong" and "AssertionError" not in report.longreprtext:
                    kind = "tracebacks"
            if report.when == "call":
                counts["tried"] += int(n)
                counts[kind] += int(n)
    return counts
