"""A ViT so small that nothing has to wait for it."""

from timm.models.vision_transformer import VisionTransformer

TINY = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}


def tiny(**options):
    return VisionTransformer(**{**TINY, **options}, num_classes=0, dynamic_img_size=True)


def close(a, b):
    assert a.shape == b.shape
    assert (a - b).abs().max() < 1e-5
