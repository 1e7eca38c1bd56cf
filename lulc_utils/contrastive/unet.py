"""A small U-Net (Ronneberger et al. 2015, arXiv 1505.04597): many bands in, one feature vector per pixel out.

At full resolution it sees only each pixel's own spectrum (1 x 1 convolutions): at 10 m the spectrum says most. Three
times it halves the resolution and looks around (3 x 3), then goes back up and adds what it had at each resolution. Half
a million weights, most of them at coarse resolution. B images, C bands, D features.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.distributed.nn.functional import all_reduce
from torch.nn import functional as F

from lulc_utils import tensors
from lulc_utils.training import own_randomness, processes

FORMAT = "lulc_utils.contrastive.unet 1"


class BatchNorm(nn.BatchNorm2d):
    """Batch normalization over the batches of all processes, so that two processes compute what one does.

    Torch's SyncBatchNorm works on GPUs only; here all processes must hold the same number of images.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] -> the same shape."""
        if not self.training or processes() == 1:
            return super().forward(x)
        world = processes()
        mean = all_reduce(x.mean((0, 2, 3))) / world  # the gradient passes through both sums
        centered = x - mean.view(-1, 1, 1)
        var = all_reduce(centered.square().mean((0, 2, 3))) / world
        with torch.no_grad():
            count = world * x.numel() / x.shape[1]
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * count / (count - 1), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight / (var + self.eps).sqrt()
        return centered * scale.view(-1, 1, 1) + self.bias.view(-1, 1, 1)


def conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU: [B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), BatchNorm(outputs), nn.ReLU(inplace=True)
    )


class UNet(nn.Module):
    """Reflectance [B, C, H, W] -> scores [B, classes, H, W]; `features` stops before the last, linear layer.

    bands     names of the C bands, in order; kept with the weights so that they are never fed in another order
    classes   number of classes; 0: no head yet
    widths    channels at full, 1/2, 1/4, 1/8 resolution
    dim       D, length of a pixel's feature vector

    The buffers `mean` and `std` [C] standardize the input; set them with `standardize` before training.
    """

    def __init__(
        self, bands: Sequence[str], classes: int = 0, widths: Sequence[int] = (32, 48, 64, 128), dim: int = 64
    ):
        super().__init__()
        self.bands, self.classes, self.widths, self.dim = tuple(bands), classes, tuple(widths), dim
        self.register_buffer("mean", torch.zeros(len(self.bands)))
        self.register_buffer("std", torch.ones(len(self.bands)))
        pairs = list(zip(self.widths[:-1], self.widths[1:], strict=True))
        full = self.widths[0]
        self.stem = nn.Sequential(conv(len(self.bands), full, 1), conv(full, full, 1))
        self.down = nn.ModuleList(nn.Sequential(conv(a, b, stride=2), conv(b, b)) for a, b in pairs)
        self.bottom = conv(self.widths[-1], self.widths[-1])
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairs)  # before going up: cheaper than after
        self.up = nn.ModuleList(conv(a, a, 3 if i else 1) for i, a in enumerate(self.widths[:-1]))
        self.out = nn.Conv2d(full, dim, 1)
        self.head = nn.Conv2d(dim, classes, 1) if classes else None

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """One feature vector per pixel, [B, D, H, W], of reflectance [B, C, H, W] of any size."""
        height, width = x.shape[-2:]
        x = (x - self.mean.view(-1, 1, 1)) / self.std.view(-1, 1, 1)
        coarse = 2 ** len(self.down)
        if height % coarse or width % coarse:  # every resolution must be a whole number of pixels
            x = F.pad(x, (0, -width % coarse, 0, -height % coarse), mode="replicate")
        finer = [self.stem(x)]  # [B, w0, H, W]
        for down in self.down:
            finer.append(down(finer[-1]))  # [B, w1, H/2, W/2], [B, w2, H/4, W/4], ...
        x = self.bottom(finer.pop())
        for narrow, up in zip(reversed(self.narrow), reversed(self.up), strict=True):
            x = up(F.interpolate(narrow(x), scale_factor=2.0, mode="nearest") + finer.pop())
        return F.relu(self.out(x)[..., :height, :width])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of the classes, [B, classes, H, W]; RuntimeError without a head."""
        if self.head is None:
            raise RuntimeError("This network has no head yet; contrastive.finetune gives it one.")
        return self.head(self.features(x))

    def standardize(self, images: torch.Tensor) -> UNet:
        """Take mean and standard deviation of every band from images [..., C, H, W]; returns the network itself."""
        flat = images.transpose(-3, 0).flatten(1).double()  # [C, everything else]
        self.mean.copy_(flat.mean(1))
        self.std.copy_(flat.std(1).clamp_min(1e-4))
        return self


class Result(NamedTuple):
    """A trained network and one record per logged step."""

    model: UNet
    history: list[dict]


def fresh(bands: Sequence[str], images: np.ndarray | torch.Tensor, seed: int = 0, **shape) -> UNet:
    """A U-Net with random weights, standardized by these images [..., C, H, W]; `shape`: options of `UNet`."""
    with own_randomness(seed):
        return UNet(bands, **shape).standardize(torch.as_tensor(images))


@torch.no_grad()
def features(model: UNet, images: np.ndarray | torch.Tensor, batch_size: int = 16) -> np.ndarray:
    """Features of every pixel: reflectance [P, C, H, W] -> [P, H, W, D] float32."""
    training, device = model.training, model.mean.device
    model.eval()
    parts = [model.features(part.to(device)).cpu() for part in torch.as_tensor(images).split(batch_size)]
    model.train(training)
    return torch.cat(parts).movedim(1, -1).numpy()


@torch.no_grad()
def predict(model: UNet, images: np.ndarray | torch.Tensor, batch_size: int = 16) -> np.ndarray:
    """Most likely class of every pixel: reflectance [P, C, H, W] -> [P, H, W] uint8."""
    device = model.mean.device
    model.eval()
    parts = torch.as_tensor(images).split(batch_size)
    return torch.cat([model(part.to(device)).argmax(1).byte().cpu() for part in parts]).numpy()


def save(model: UNet, path: str | Path, **notes: str) -> Path:
    """Write weights, band names, mean and standard deviation as safetensors, completely or not at all.

    notes go into the file's header ("data", "seed", ...). Returns the path.
    """
    shape = {"bands": model.bands, "classes": model.classes, "widths": model.widths, "dim": model.dim}
    return tensors.write(path, model.state_dict(), {"format": FORMAT, "shape": json.dumps(shape), **notes})


def load(path: str | Path, device: str | torch.device = "cpu") -> UNet:
    """The network that `save` wrote, in evaluation mode. FileNotFoundError; ValueError when it is something else."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}; train it with `python -m lulc_utils contrastive pretrain`.")
    weights, notes = tensors.read(path)
    if notes.get("format") != FORMAT:
        raise ValueError(f"{path} does not hold the weights of a U-Net of this package.")
    try:
        shape = json.loads(notes["shape"])
        model = tensors.build(lambda: UNet(**shape), weights)
        model.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__}): its notes and weights do not fit.") from error
    return model.to(device).eval()
