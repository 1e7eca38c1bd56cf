"""The network of DINO: a vision transformer with a head of prototypes; teacher and student are two of these."""

from __future__ import annotations

import torch
from timm.layers import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn import functional as F

from lulc_utils import backbone as bb
from lulc_utils.dino.views import View
from lulc_utils.training import own_randomness

MODELS = {
    "vit_tiny8": bb.EMBEDDED,
    "vit_mini8": {"img_size": 96, "patch_size": 8, "embed_dim": 64, "depth": 3, "num_heads": 2},
}


class Head(nn.Module):
    """Features [..., D] -> logits [..., K]: MLP, bottleneck of length 1, cosine with K prototypes of length 1.

    hidden=0 makes the MLP a linear map: what the loss asks for must then be done by the backbone itself.
    Both lengths are fixed in `forward`, which replaces torch's deprecated `weight_norm` of the reference.
    """

    def __init__(self, dim: int, prototypes: int = 512, hidden: int = 512, bottleneck: int = 128):
        super().__init__()
        deep = [nn.Linear(dim, hidden), nn.GELU()] if hidden else []
        self.mlp = nn.Sequential(*deep, nn.Linear(hidden or dim, bottleneck))
        self.prototypes = nn.Parameter(torch.randn(prototypes, bottleneck))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits in -1..1, float32."""
        points = F.normalize(self.mlp(features).float(), dim=-1)
        with torch.autocast(points.device.type, enabled=False):  # bf16 cosines are too coarse for temperature 0.04
            return F.linear(points, F.normalize(self.prototypes, dim=-1))


class Network(nn.Module):
    """A ViT with a head; teacher and student are two of these."""

    def __init__(self, architecture: dict, prototypes: int, hidden: int = 512):
        super().__init__()
        self.vit = VisionTransformer(**architecture, num_classes=0, dynamic_img_size=True)
        self.head = Head(self.vit.embed_dim, prototypes, hidden)
        self.mask_token = nn.Parameter(torch.zeros(self.vit.embed_dim))

    def forward(self, view: View, masked: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of the CLS token [B, K] and of the patches [B, n, K]."""
        vit = self.vit
        x = vit.patch_embed(_standardized(view.pixels))  # [B, h, w, D]
        if masked:
            x = torch.where(view.masked.unsqueeze(-1), self.mask_token.to(x.dtype), x)
        grid = resample_abs_pos_embed(vit.pos_embed, (view.grid, view.grid), num_prefix_tokens=1)[0]  # [1 + G G, D]
        x = x.flatten(1, 2) + grid[1:][view.positions]  # [B, n, D]
        x = torch.cat([(vit.cls_token + grid[:1]).expand(len(x), -1, -1), x], 1)  # [B, 1 + n, D]
        logits = self.head(vit.norm(vit.blocks(x)))
        return logits[:, 0], logits[:, 1:]


def architecture_of(model: str | dict) -> dict:
    """The arguments of a timm VisionTransformer, from a name in MODELS; ValueError for an unknown one."""
    if isinstance(model, dict):
        return dict(model)
    if model not in MODELS:
        raise ValueError(f"There is no model '{model}'; choose one of {', '.join(MODELS)}.")
    return dict(MODELS[model])


def start_networks(
    architecture: dict, prototypes: int, hidden: int, seed: int, device: torch.device, compiled: bool = False
) -> tuple[Network, Network]:
    """(student, teacher) with the same weights, drawn from the seed; only the student's take gradients."""
    with own_randomness(seed):
        student, teacher = Network(architecture, prototypes, hidden), Network(architecture, prototypes, hidden)
    teacher.load_state_dict(student.state_dict())
    teacher.requires_grad_(False)
    if compiled:
        torch._dynamo.config.recompile_limit = 64  # noqa: SLF001
    for network in (student.to(device), teacher.to(device)):
        for block in network.vit.blocks:
            if device.type == "cpu" and network is student:  # where the gradient of fused attention takes twice as long
                block.attn.fused_attn = False
            if compiled:  # once for all blocks, and again for every size of view
                block.compile(dynamic=False)
    return student, teacher


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Move every teacher weight toward the student's, in place: `theta_t <- l theta_t + (1 - l) theta_s`."""
    torch._foreach_lerp_(list(teacher.parameters()), list(student.parameters()), 1 - momentum)


def _standardized(pixels: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(v, device=pixels.device).view(3, 1, 1) for v in bb.IMAGENET)
    return (pixels - mean) / std
