"""Windows cover a raster, their weights sum to one, and a worker loads little."""

import subprocess
import sys

import numpy as np
import pytest

from lulc_utils import mapping
from lulc_utils.mapping import worker


@pytest.mark.parametrize("overlap", [0, 1, 5, 10])
@pytest.mark.parametrize("length", [1, 29, 30, 31, 50, 51, 71, 100, 211])
def test_spans_cover_an_axis_and_their_weights_sum_to_one(length, overlap):
    spans = mapping.spans(length, 30, overlap)
    total, count = np.zeros(length), np.zeros(length, int)
    for span in spans:
        assert 0 <= span.start <= span.begin < span.end <= span.stop <= length
        assert span.stop - span.start == min(30, length)
        total[span.begin : span.end] += mapping.weights(span)
        count[span.begin : span.end] += 1
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert count.max() <= 2 and (count == 2).sum() == overlap * (len(spans) - 1)


def test_the_weight_falls_toward_the_edge_of_the_window():
    first, last = mapping.spans(50, 30, 10)
    assert (np.diff(mapping.weights(first)[-10:]) < 0).all() and (np.diff(mapping.weights(last)[:10]) > 0).all()
    assert mapping.weights(first)[-1] < 0.01 and (mapping.weights(first)[:-10] == 1).all()


@pytest.mark.parametrize("window, overlap", [(30, 11), (30, -1), (0, 0)])
def test_an_overlap_that_does_not_fit_is_refused(window, overlap):
    with pytest.raises(ValueError, match="between 0 and a third of the window"):
        mapping.spans(100, window, overlap)


def test_labels_are_the_argmax_and_the_first_on_a_tie():
    p = np.random.default_rng(0).integers(0, 4, (5, 40, 30)).astype(np.float32)
    np.testing.assert_array_equal(worker.labels_of(p), p.argmax(0))


def test_a_worker_does_not_load_what_most_models_do_not_need():
    code = (
        "import sys, lulc_utils.mapping.worker; print(*{'torch', 'timm', 'sklearn', 'matplotlib'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
