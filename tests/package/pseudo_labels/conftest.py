"""What all tests of pseudo-labels need."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def small_networks(one_thread):
    """They lose more to threads that wait for each other than they gain."""
