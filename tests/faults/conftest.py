"""Every test of this folder says what it tries; tests/conftest.py counts the answers."""

import pytest


@pytest.fixture
def tried(record_property):
    """tried("right", n): n inputs are tried here, and a test that passes means this of them."""
    return lambda kind, n=1: record_property("fault", f"{n} {kind}")
