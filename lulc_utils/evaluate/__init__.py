"""How good is a map? Confusion, matching of clusters to classes, probes, intervals and honest splits.

Everything here takes and returns NumPy arrays. Features [..., D] go with labels [...]: [N, D] and [N], or
whole patch grids [N, h, w, D] and [N, h, w].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from lulc_utils.scene import UNLABELLED

SCORES = ("accuracy", "miou", "macro_f1")


# ------------------------------------------------------------------------------------------------ labels


def patch_labels(labels: np.ndarray, patch: int) -> np.ndarray:
    """Most frequent label of every patch: [H, W] or [N, H, W] -> [..., ceil(H/patch), ceil(W/patch)] uint8.

    UNLABELLED is a candidate like any class and loses a tie; among classes the smaller index wins a tie. A
    patch that reaches over the right or bottom edge votes with its real pixels only.
    """
    labels = np.asarray(labels)
    if labels.ndim not in (2, 3):
        raise ValueError(f"Labels must be [rows, cols] or [N, rows, cols], not an array of shape {labels.shape}.")
    if patch < 1:
        raise ValueError(f"The patch size must be at least 1 pixel, not {patch}.")
    height, width = labels.shape[-2:]
    edge = [(0, 0)] * (labels.ndim - 2) + [(0, -height % patch), (0, -width % patch)]
    padded = np.pad(labels.astype(np.int16), edge, constant_values=-1)  # -1 is counted for nobody
    grid = (*labels.shape[:-2], padded.shape[-2] // patch, patch, padded.shape[-1] // patch, patch)
    blocks = padded.reshape(grid)  # [..., h, p, w, p]
    values = np.unique(labels)  # ascending, so that UNLABELLED comes last and argmax prefers a class
    votes = np.stack([(blocks == v).sum((-3, -1), dtype=np.int32) for v in values])  # [V, ..., h, w]
    return values[votes.argmax(0)].astype(np.uint8)


def majority_class(labels: np.ndarray, n_classes: int) -> int:
    """The most frequent class, the baseline every map must beat; ValueError when nothing is labelled."""
    labels = np.asarray(labels)
    counts = np.bincount(labels[labels != UNLABELLED].ravel(), minlength=n_classes)
    if not counts.any():
        raise ValueError("There is no labelled sample, so there is no majority class.")
    return int(counts.argmax())


# --------------------------------------------------------------------------------------------- confusion


def confusion(truth: np.ndarray, predicted: np.ndarray, n_classes: int, n_predicted: int | None = None) -> np.ndarray:
    """Counts, [n_classes, n_predicted + 1] int64: rows are the truth, columns the answers.

    truth, predicted   arrays of one shape; samples whose truth is UNLABELLED are left out
    n_predicted        number of clusters when `predicted` holds clusters; default: n_classes

    The last column counts UNLABELLED answers (say, of a cluster without a class). They stay in every score as
    errors; UnsupervisedMetrics of STEGO's reference code silently drops such samples. The shape is the same
    for every tile, so that matrices can be added up. ValueError for any other value.
    """
    truth, predicted = np.asarray(truth).ravel(), np.asarray(predicted).ravel()
    if truth.shape != predicted.shape:
        raise ValueError(f"There are {truth.size} true labels but {predicted.size} predictions.")
    columns = n_classes if n_predicted is None else n_predicted
    if max(n_classes, columns) > UNLABELLED:
        raise ValueError(f"At most {UNLABELLED} classes or clusters are possible: {UNLABELLED} means unlabelled.")
    known = truth != UNLABELLED
    truth, predicted = truth[known].astype(np.int64), predicted[known].astype(np.int64)
    answered = predicted != UNLABELLED
    for what, values, n in (("True label", truth, n_classes), ("Prediction", predicted[answered], columns)):
        bad = values[(values < 0) | (values >= n)]
        if bad.size:
            raise ValueError(f"{what} {bad[0]} is neither in 0..{n - 1} nor UNLABELLED ({UNLABELLED}).")
    predicted = np.where(answered, predicted, columns)
    cells = np.bincount(truth * (columns + 1) + predicted, minlength=n_classes * (columns + 1))
    return cells.reshape(n_classes, columns + 1)


def confusions_by_group(truth: np.ndarray, predicted: np.ndarray, groups: Sequence[str], n_classes: int) -> np.ndarray:
    """One confusion matrix per group (tile), [G, n_classes, n_classes + 1], groups in sorted order.

    truth and predicted are [N, ...], groups has N entries (`group_of(scene)`); `bootstrap` takes the result.
    """
    groups = np.asarray(groups)
    if len(groups) != len(truth) or len(groups) != len(predicted):
        raise ValueError(
            f"{len(truth)} labels and {len(predicted)} predictions need as many groups, not {len(groups)}."
        )
    parts = [groups == g for g in np.unique(groups)]
    return np.stack([confusion(np.asarray(truth)[p], np.asarray(predicted)[p], n_classes) for p in parts])


def _mean_known(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaN; NaN where nothing is left."""
    known = ~np.isnan(values)
    count = known.sum(-1)
    return np.where(count, np.where(known, values, 0).sum(-1) / np.maximum(count, 1), np.nan)


def scores(confusion: np.ndarray) -> dict:
    """accuracy, miou, macro_f1 (all 0..1) and iou (one per class) of [..., n, n + 1] or square counts.

    A class that is neither in the truth nor among the answers has IoU NaN and is left out of both means; one
    that is only answered has IoU 0 and is counted. Without any labelled sample everything is NaN.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    n = counts.shape[-2]
    if counts.shape[-1] not in (n, n + 1):
        raise ValueError(
            f"Scores need one column per class (and one for no answer), not a table of shape {counts.shape}; "
            "match clusters to classes first."
        )
    hit = np.diagonal(counts, axis1=-2, axis2=-1)  # [..., n]
    truth, answered = counts.sum(-1), counts.sum(-2)[..., :n]
    with np.errstate(invalid="ignore", divide="ignore"):
        iou = hit / (truth + answered - hit)
        f1 = 2 * hit / (truth + answered)
        accuracy = hit.sum(-1) / counts.sum((-2, -1))
    result = {"accuracy": accuracy, "miou": _mean_known(iou), "macro_f1": _mean_known(f1)}
    if counts.ndim == 2:
        result = {name: float(value) for name, value in result.items()}
    return {**result, "iou": iou}


def bootstrap(
    confusions: Sequence[np.ndarray],
    score: str = "miou",
    *,
    repeats: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """(low, high) of a score when the TILES are drawn again, with replacement (percentile bootstrap).

    confusions holds one matrix per tile; pixels of a tile are alike, so resampling pixels would promise far
    too much. With a handful of tiles even this interval is too narrow. ValueError for fewer than two tiles.
    """
    drawn = _resample(_stack(confusions), score, repeats, seed)
    return _interval(drawn, level)


def bootstrap_difference(
    confusions_a: Sequence[np.ndarray],
    confusions_b: Sequence[np.ndarray],
    score: str = "miou",
    *,
    repeats: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """(difference, low, high) of score(a) - score(b), paired: every draw takes the same tiles for both.

    Entry i of both lists must be the same tile. An interval that contains 0 shows no difference.
    """
    a, b = _stack(confusions_a), _stack(confusions_b)
    if len(a) != len(b):
        raise ValueError(f"A paired comparison needs the same tiles twice, not {len(a)} and {len(b)}.")
    drawn = _resample(a, score, repeats, seed) - _resample(b, score, repeats, seed)
    return (float(scores(a.sum(0))[score] - scores(b.sum(0))[score]), *_interval(drawn, level))


def over_seeds(
    confusions: np.ndarray,
    other: np.ndarray | None = None,
    score: str = "miou",
    *,
    repeats: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """(mean over the seeds, low, high) of a score when SEEDS AND TILES are drawn again, each with replacement.

    confusions    [S, T, n, m]: one matrix per training (seed) and tile
    other         the same of another method: then it is the difference, paired by seed and tile

    A difference that holds for these five trainings may still be luck, and so may one that holds for these tiles; this
    interval owns up to both. ValueError when there is only one seed or tile, or when the shapes differ.
    """
    a = np.asarray(confusions)
    b = None if other is None else np.asarray(other)
    if a.ndim != 4 or min(a.shape[:2]) < 2 or (b is not None and b.shape[:2] != a.shape[:2]):
        raise ValueError(f"An interval over seeds needs [seeds, tiles, n, m], at least two of each, not {a.shape}.")
    rng = np.random.default_rng(seed)
    seeds, tiles = (rng.multinomial(n, np.full(n, 1 / n), repeats) for n in a.shape[:2])  # how often each is drawn
    value, drawn = 0.0, np.zeros(repeats)
    for tables, sign in ((a, 1), (b, -1)):
        if tables is not None:
            each = np.stack([scores(np.tensordot(tiles, one, 1))[score] for one in tables], 1)  # [R, S]
            value += sign * float(np.mean(scores(tables.sum(1))[score]))
            drawn += sign * (seeds * each).sum(1) / len(a)
    return (value, *_interval(drawn, level))


def _stack(confusions: Sequence[np.ndarray]) -> np.ndarray:
    """[T, n, m] of at least two tiles."""
    if len(confusions) < 2:
        raise ValueError(f"An interval needs at least two tiles, not {len(confusions)}.")
    return np.stack([np.asarray(c) for c in confusions])


def _resample(confusions: np.ndarray, score: str, repeats: int, seed: int) -> np.ndarray:
    """The score of `repeats` draws of T tiles out of T, [repeats]."""
    if score not in SCORES:
        raise ValueError(f"Unknown score '{score}'; choose one of {', '.join(SCORES)}.")
    tiles = len(confusions)
    times = np.random.default_rng(seed).multinomial(tiles, np.full(tiles, 1 / tiles), repeats)  # [R, T]
    return scores(np.tensordot(times, confusions, 1))[score]  # [R, n, m] -> [R]


def _interval(drawn: np.ndarray, level: float) -> tuple[float, float]:
    drawn = drawn[~np.isnan(drawn)]
    if not drawn.size:
        return float("nan"), float("nan")
    low, high = np.percentile(drawn, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


# ---------------------------------------------------------------------------------- clusters and classes


def match(confusion: np.ndarray) -> np.ndarray:
    """Hungarian matching: the class of every cluster, [clusters] uint8, one cluster per class at most.

    confusion is `confusion(truth, clusters, n_classes, n_predicted)`, [classes, clusters + 1]; its last
    column (no cluster) is not matched. Clusters that find no class become UNLABELLED. Fit it on one split, use
    it on another with `apply_match`. Source: Kuhn 1955; maximises the matched counts, as STEGO's code does.
    """
    counts = np.asarray(confusion)[:, :-1]
    classes, clusters = linear_sum_assignment(counts, maximize=True)
    mapping = np.full(counts.shape[1], UNLABELLED, np.uint8)
    mapping[clusters] = classes
    return mapping


def match_many(confusion: np.ndarray) -> np.ndarray:
    """Many-to-one: every cluster gets its most frequent class, [clusters] uint8; UNLABELLED when empty.

    Same input as `match`. It flatters as clusters grow in number, so say which of the two a score used.
    """
    counts = np.asarray(confusion)[:, :-1]
    return np.where(counts.any(0), counts.argmax(0), UNLABELLED).astype(np.uint8)


def apply_match(clusters: np.ndarray, mapping: np.ndarray) -> np.ndarray:
    """Clusters [...] -> classes [...] uint8 by a mapping of `match`; UNLABELLED stays UNLABELLED."""
    clusters = np.asarray(clusters)
    known = clusters != UNLABELLED
    if known.any() and not 0 <= clusters[known].min() <= clusters[known].max() < len(mapping):
        raise ValueError(f"A cluster outside 0..{len(mapping) - 1} has no entry in the mapping.")
    classes = np.full(clusters.shape, UNLABELLED, np.uint8)
    classes[known] = np.asarray(mapping)[clusters[known]]
    return classes


# ---------------------------------------------------------------------------------------------- features


def _rows(features: np.ndarray) -> np.ndarray:
    """[..., D] -> [M, D] float32, checked."""
    features = np.asarray(features)
    if features.ndim < 2:
        raise ValueError(f"Features must be [..., D] with one row per sample, not {features.shape}.")
    rows = np.ascontiguousarray(features.reshape(-1, features.shape[-1]), dtype=np.float32)
    if not np.isfinite(rows).all():
        raise ValueError("The features hold NaN or infinite values; mask or fill them first.")
    return rows


def _labelled(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and labels of the labelled samples, checked."""
    shape, labels = np.shape(features)[:-1], np.asarray(labels)
    if labels.shape != shape:
        raise ValueError(f"Features for samples of shape {shape} cannot go with labels of shape {labels.shape}.")
    known = labels.ravel() != UNLABELLED
    if not known.any():
        raise ValueError("None of the training samples is labelled.")
    features = np.asarray(features).reshape(-1, np.shape(features)[-1])
    return _rows(features[known]), labels.ravel()[known].astype(np.int64)


def kmeans(features: np.ndarray, k: int, seed: int = 0, *, normalise: bool = False) -> Pipeline:
    """k-means on features [..., D] (3 restarts); use it with `predict`. Needs no labels.

    normalise=True scales every feature vector to length 1; Euclidean distance then orders as cosine does.
    ValueError when there are fewer samples than clusters.
    """
    rows = _rows(features)
    if not 1 <= k <= len(rows):
        raise ValueError(f"{k} clusters cannot be made of {len(rows)} samples.")
    first = Normalizer() if normalise else "passthrough"
    return make_pipeline(first, KMeans(k, n_init=3, max_iter=100, random_state=seed)).fit(rows)


def linear_probe(
    features: np.ndarray, labels: np.ndarray, *, C: float = 1.0, samples: int | None = None, seed: int = 0
) -> Pipeline:
    """Standardised features [..., D] -> logistic regression (lbfgs); use it with `predict`.

    Unlabelled samples are left out. C is scikit-learn's inverse weight decay. `samples` caps the training
    samples, drawn at random with `seed`; all else is deterministic. ValueError for fewer than two classes.
    """
    rows, labels = _labelled(features, labels)
    if samples is not None and samples < len(rows):
        chosen = np.random.default_rng(seed).choice(len(rows), samples, replace=False)
        rows, labels = rows[chosen], labels[chosen]
    if len(np.unique(labels)) < 2:
        raise ValueError(
            f"A linear probe needs at least two classes to train on; all samples are of class {labels[0]}."
        )
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=500, tol=1e-3)).fit(rows, labels)


def predict(model: Pipeline, features: np.ndarray) -> np.ndarray:
    """Classes or clusters [...] uint8 of features [..., D] by `kmeans` or `linear_probe`."""
    return model.predict(_rows(features)).reshape(np.shape(features)[:-1]).astype(np.uint8)


def knn_predict(
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray,
    *,
    k: int = 20,
    temperature: float = 0.07,
    n_classes: int | None = None,
    batch_size: int = 512,
) -> np.ndarray:
    """Weighted k-NN by cosine, [...] uint8: the k most similar samples vote with weight exp(similarity / T).

    train [..., D] with train_labels [...] (unlabelled ones left out), test [..., D]; all vote when there are
    fewer than k. Source: DINO, eval_knn.py (k 20, T 0.07), whose batching fails below 100 test samples.
    """
    bank, labels = _labelled(train, train_labels)
    queries = _rows(test)
    if bank.shape[1] != queries.shape[1]:
        raise ValueError(f"Training features have {bank.shape[1]} numbers each, test features {queries.shape[1]}.")
    if k < 1 or temperature <= 0:
        raise ValueError(f"k-NN needs k >= 1 and a temperature above 0, not k = {k} and T = {temperature}.")
    bank, queries = Normalizer().transform(bank), Normalizer().transform(queries)
    k, classes = min(k, len(bank)), max(n_classes or 0, int(labels.max()) + 1)
    answers = np.empty(len(queries), np.uint8)
    for start in range(0, len(queries), batch_size):
        similarity = queries[start : start + batch_size] @ bank.T  # [B, M]
        nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]  # [B, k]
        near = np.take_along_axis(similarity, nearest, 1)
        weight = np.exp((near - near.max(1, keepdims=True)) / temperature)  # the maximum cancels; no overflow
        votes = np.zeros((len(near), classes))
        np.add.at(votes, (np.arange(len(near))[:, None], labels[nearest]), weight)
        answers[start : start + batch_size] = votes.argmax(1)
    return answers.reshape(np.shape(test)[:-1])


# ------------------------------------------------------------------------------------------------ splits


def split_groups(groups: Sequence[str], test_share: float = 0.3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(train, test) indices that keep every group (tile, region) whole; about `test_share` of them test.

    Both sides get at least one group; ValueError for fewer than two groups.
    """
    names = np.unique(np.asarray(groups))
    if len(names) < 2:
        raise ValueError("A spatial split needs at least two groups (tiles, regions).")
    count = _test_count(len(names), test_share)
    return leave_groups_out(groups, np.random.default_rng(seed).permutation(names)[:count])


def leave_groups_out(groups: Sequence[str], test: str | Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(train, test) indices with the named groups held out; ValueError names a group that is not there."""
    groups, test = np.asarray(groups), np.atleast_1d(np.asarray(test))
    missing = [str(t) for t in test if t not in groups]
    if missing:
        raise ValueError(f"There is no group {', '.join(missing)}; there are {', '.join(map(str, np.unique(groups)))}.")
    held = np.isin(groups, test)
    if held.all():
        raise ValueError("Every group is held out, so nothing is left to train on.")
    return np.flatnonzero(~held), np.flatnonzero(held)


def split_blocks(height: int, width: int, block: int, test_share: float = 0.3, seed: int = 0) -> np.ndarray:
    """[height, width] bool, True = test: whole blocks of block x block pixels, drawn at random.

    For one image without groups. Neighbours still meet along block edges: larger blocks are more honest.
    ValueError when the image holds a single block.
    """
    rows, cols = -(-height // block), -(-width // block)
    if rows * cols < 2:
        raise ValueError(f"One block of {block} pixels covers the image of {height} x {width}; take smaller blocks.")
    count = _test_count(rows * cols, test_share)
    chosen = np.zeros(rows * cols, bool)
    chosen[np.random.default_rng(seed).permutation(rows * cols)[:count]] = True
    mask = np.kron(chosen.reshape(rows, cols), np.ones((block, block), bool))
    return mask[:height, :width]


def split_pixels(height: int, width: int, test_share: float = 0.3, seed: int = 0) -> np.ndarray:
    """[height, width] bool, True = test: single pixels at random. FOR COMPARISON ONLY.

    Almost every test pixel has a training pixel of the same object next door, so scores are far too good.
    """
    return split_blocks(height, width, 1, test_share, seed)


def _test_count(n: int, share: float) -> int:
    """How many of n units test: about share, at least one, never all."""
    if not 0 < share < 1:
        raise ValueError(f"The test share must lie between 0 and 1, not {share}.")
    return min(max(round(share * n), 1), n - 1)
