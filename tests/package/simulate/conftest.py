"""What the tests of the simulators share."""

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="module", autouse=True)
def one_blas_thread():
    """Arrays this small lose more to waiting threads than they gain, above all on a busy machine."""
    with threadpool_limits(1):
        yield
