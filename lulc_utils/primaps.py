"""Principal masks: cluster the frozen features of many images with the help of segments in each of them.

After PriMaPs-EM (Hahn, Araslanov, Schaub-Meyer & Roth, "Boosting Unsupervised Semantic Segmentation with Principal
Mask Proposals", 2024), re-implemented from its idea, without its CRF, augmentations and tuned shifts:

1. masks   In one image, take the direction in which the remaining features vary most. The patch furthest along
           it is the seed; all patches similar to the seed form a mask. Remove them and start again.
2. EM      K prototypes start from k-means. E: each mask as a whole gets the class of the prototype most similar to
           its patches on average. M: a gradient step on the focal loss teaches the prototypes these classes. The E
           step uses a copy of the prototypes that follows slowly (momentum).

No labels are used. Features are projected first: centered, because what all patches share makes everything similar to
everything, and half whitened (principal axes over the square root of their standard deviations), because otherwise
two or three axes decide everything, while after full whitening noise counts as much as signal.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from sklearn.cluster import KMeans
from torch.nn import functional as F


class Projection(NamedTuple):
    """(features - mean) @ axes: mean [D], axes [D, d]."""

    mean: torch.Tensor
    axes: torch.Tensor

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Projected features, [..., D] -> [..., d]."""
        return (features - self.mean) @ self.axes


class Prototypes(NamedTuple):
    """Groups as in `lulc_utils.cluster`: projection of features, centers [K, d] of length 1, loss of every step."""

    projection: Projection
    centers: torch.Tensor
    loss: list[float]

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        """Projected features, [..., D] -> [..., d]."""
        return self.projection(features)


def fit_projection(features: torch.Tensor, dim: int = 64) -> Projection:
    """Centering and half whitening of features [N, h, w, D] on `dim` principal axes, or as many as there are.

    ValueError for NaN, another shape, or features that are all the same.
    """
    rows = _checked(features).flatten(0, 1).double()  # [M, D]
    mean = rows.mean(0)
    variance, axes = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))  # ascending
    used = (variance > 1e-6 * variance[-1]) & (variance > 1e-12)
    if dim < 1 or not used.any():
        raise ValueError("All features are the same (or dim is below 1), so they cannot be clustered.")
    axes = axes[:, used][:, -dim:] / variance[used][-dim:] ** 0.25
    return Projection(mean.float(), axes.float())


@torch.inference_mode()
def principal_masks(
    features: torch.Tensor,
    *,
    projection: Projection | None = None,
    threshold: float = 0.5,
    cover: float = 0.95,
    most: int = 40,
) -> torch.Tensor:
    """Masks of every image, features [N, h, w, D] -> [N, h, w] int64: 0, 1, ... in order of discovery, -1 = none.

    projection  `fit_projection` of the training images; default: of these images
    threshold   a patch joins when its cosine with the seed exceeds this share of the largest (the seed's own, 1)
    cover       an image is done when masks cover this share of it, or there are `most` of them

    Deterministic. ValueError for NaN, another shape, or a threshold or cover outside 0..1. Source: Hahn et al. 2024.
    """
    if not (0 < threshold < 1 and 0 < cover <= 1):
        raise ValueError(f"threshold and cover must lie between 0 and 1, not {threshold} and {cover}.")
    x = _unit(features, projection or fit_projection(features))  # [N, P, d]
    masks = torch.full(x.shape[:2], -1, dtype=torch.long, device=x.device)
    for number in range(most):
        left = masks < 0  # [N, P]
        left &= left.sum(1, keepdim=True) > (1 - cover) * x.shape[1]
        if not left.any():
            break
        similar = (x @ _seed(x, left)[:, :, None])[..., 0]  # [N, P]
        masks[left & (similar > threshold)] = number
    return masks.view(features.shape[:-1])


def _seed(x: torch.Tensor, left: torch.Tensor) -> torch.Tensor:
    """The features [N, d] of the patch furthest along the main direction of those left, [N, P] bool."""
    weight = left[..., None].to(x.dtype)
    mean = (x * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp_min(1)
    rest = (x - mean) * weight
    axis = torch.linalg.eigh(rest.mT @ rest).eigenvectors[..., -1:]  # [N, d, 1]
    along = (x @ axis)[..., 0].abs().masked_fill(~left, -1)  # an axis has no sign: take the stronger end
    return x[torch.arange(len(x), device=x.device), along.argmax(1)]


def fit(
    features: torch.Tensor,
    k: int,
    *,
    steps: int = 150,
    batch_size: int = 16,
    lr: float = 5e-3,
    momentum: float = 0.95,
    temperature: float = 0.1,
    focus: float = 2.0,
    threshold: float = 0.5,
    dim: int = 64,
    seed: int = 0,
) -> Prototypes:
    """K clusters of features [N, h, w, D] of the training images (no labels); use them with `predict`.

    steps, batch_size, lr  M steps (Adam), images per step; steps=0 leaves k-means by cosine on projected features
    momentum               share of the slow prototypes kept in each step
    temperature, focus     of the cosines in the softmax; exponent of the focal loss (0: cross-entropy)
    threshold, dim         of `principal_masks` and `fit_projection`

    ValueError for NaN, another shape, or fewer patches than clusters. Source: Hahn et al. 2024.
    """
    if (patches := _checked(features)[..., 0].numel()) < k or not 1 <= k <= 255:
        raise ValueError(f"{k} clusters cannot be made of {patches} patches; at most 255 are possible.")
    projection = fit_projection(features, dim)
    x = _unit(features, projection)  # [N, P, d]
    masks = principal_masks(features, projection=projection, threshold=threshold).flatten(1)  # [N, P]
    start = KMeans(k, n_init=3, random_state=seed).fit(x.flatten(0, 1).cpu().numpy()).cluster_centers_
    slow = F.normalize(torch.from_numpy(start).to(x), dim=1)  # [K, d]
    fast = slow.clone().requires_grad_()
    optimizer = torch.optim.Adam([fast], lr)
    generator, loss_curve = torch.Generator().manual_seed(seed), []
    for _ in range(steps):
        batch = torch.randperm(len(x), generator=generator)[:batch_size].to(x.device)
        part, number = x[batch], masks[batch] + 1  # 0 = in no mask
        # E: the patches of a mask vote, and the whole mask gets the class that wins.
        votes = F.one_hot(number).to(x).mT @ (part @ slow.T)  # [B, masks + 1, K]
        label = votes.argmax(2).gather(1, number)  # [B, P]
        # M: one step toward these classes, on every patch in a mask; confident patches count little.
        log_q = (part @ F.normalize(fast, dim=1).T / temperature).log_softmax(2)
        log_q = log_q.gather(2, label[..., None])[..., 0][number > 0]  # of the label, in every masked patch
        loss = -((1 - log_q.exp()) ** focus * log_q).mean()
        (fast.grad,) = torch.autograd.grad(loss, fast)
        optimizer.step()
        # The labelling prototypes follow slowly.
        slow = F.normalize(momentum * slow + (1 - momentum) * F.normalize(fast.detach(), dim=1), dim=1)
        loss_curve.append(float(loss.detach()))
    return Prototypes(projection, slow, loss_curve)


@torch.inference_mode()
def predict(prototypes: Prototypes, features: torch.Tensor) -> torch.Tensor:
    """The most similar prototype of every patch, features [N, h, w, D] -> [N, h, w] uint8."""
    clusters = (_unit(features, prototypes.projection) @ prototypes.centers.T).argmax(-1)
    return clusters.to(torch.uint8).view(features.shape[:-1])


def _checked(features: torch.Tensor) -> torch.Tensor:
    """[N, h, w, D] -> [N, h * w, D] float32."""
    if features.ndim != 4 or 0 in features.shape:
        raise ValueError(f"Features must be [N, h, w, D] with at least one patch, not {tuple(features.shape)}.")
    if not torch.isfinite(features).all():
        raise ValueError("The features hold NaN or infinite values; mask or fill them first.")
    return features.detach().flatten(1, 2).float()


def _unit(features: torch.Tensor, projection: Projection) -> torch.Tensor:
    """Projected and scaled to length 1, [N, h, w, D] -> [N, h * w, d]."""
    if features.shape[-1] != len(projection.mean):
        raise ValueError(f"The features have {features.shape[-1]} numbers per patch, not {len(projection.mean)}.")
    return F.normalize(projection(_checked(features)), dim=-1)
