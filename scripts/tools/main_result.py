"""What came out of a run of a chapter, in one sentence made from its results file."""

from __future__ import annotations


def main_result(chapter: str, results: dict) -> str:
    """One sentence for the part `results` of a chapter's results file; numbers of this very run only.

    ValueError for a chapter without a sentence, KeyError when the file lacks the number.
    """
    if chapter not in SENTENCES:
        raise ValueError(f"No sentence is written for chapter {chapter}; add one to scripts/tools/main_result.py.")
    return SENTENCES[chapter](results)


def _splits(r: dict) -> str:
    """Chapter 0: one learner, two ways to choose the test pixels."""
    near, far = (r["simulated"][name]["miou"] for name in ("single pixels", "whole scenes"))
    return f"random forest mIoU {near:.2f} on single test pixels, {far:.2f} on whole scenes, simulated"


def _features(r: dict) -> str:
    """Chapter 1: the features that were asked for, against colour."""
    probe, name = r["simulated"]["scores"]["linear probe"], r["backbone"]
    return f"linear probe mIoU {probe[name][0]:.2f} {name}, {probe['raw colour'][0]:.2f} raw colour, simulated"


def _clusters(r: dict) -> str:
    """Chapter 2: STEGO against k-means on the same features, neither with CRF."""
    stego, kmeans = (r["simulated"]["mIoU"][name][0] for name in ("STEGO", "k-means, frozen features"))
    return f"mIoU {stego:.2f} STEGO, {kmeans:.2f} k-means on the same features, simulated"


def _labels(r: dict) -> str:
    """Chapter 3: pre-trained against random weights where labels are fewest."""
    share = min(r["simulated"], key=float)
    learnt, random = (r["simulated"][share][name] for name in ("pre-trained", "random"))
    return (
        f"with {float(share):.0%} of the labels mIoU {learnt:.2f} pre-trained, {random:.2f} random weights, simulated"
    )


def _metadata(r: dict) -> str:
    """Chapter 4: in the other hemisphere, metadata for nobody, the teacher only, or also at test time."""
    names = ("image only", "metadata teacher", "image + metadata")
    nobody, teacher, both = (r["this run"][name]["other hemisphere"] for name in names)
    return (
        f"class accuracy in the other hemisphere {nobody:.2f} image only, {teacher:.2f} metadata for the teacher, "
        f"{both:.2f} also at test time, simulated"
    )


def _seams(r: dict) -> str:
    """Chapter 5: changes of class at the borders of windows, with and without overlap."""
    cut, blended = (r["this run"]["seams"][name][0] for name in ("no overlap", "blended"))
    return f"{cut:.0%} of the pixels at window borders change class without overlap, {blended:.0%} blended, simulated"


def _place(r: dict) -> str:
    """Chapter 6: the best way to spend the points, or that there was no truth to score against."""
    if not r["this place"]:
        return "no labels at this place, so nothing was scored"
    scores = {f"{how}, {x}": v for x, ways in r["this place"].items() for how, v in ways.items()}
    best = max(scores, key=scores.get)
    return f"best of {len(scores)} ways to make the map: mIoU {scores[best]:.2f} ({best})"


SENTENCES = {
    "00_start_here": _splits,
    "01_dino_features": _features,
    "02_stego_clustering": _clusters,
    "03_contrastive_pretraining": _labels,
    "04_metadata_pseudo_labels": _metadata,
    "05_mapping_at_scale": _seams,
    "06_your_own_place": _place,
}
