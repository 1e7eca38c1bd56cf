"""What the tests of evaluation share."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Samples this few lose more to waiting threads than they gain, above all on a busy machine."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(0)
