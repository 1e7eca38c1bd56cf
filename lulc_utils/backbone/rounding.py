"""bf16 on any processor: numbers with 8 significant bits, multiplied by whichever unit is fast.

A GPU, or a processor with AVX-512 or AMX, multiplies bf16 numbers faster than fp32 ones, and autocast uses that. Other
processors (many laptops and cloud machines) have no such unit. On one with AVX2 only, autocast made the embedded
network five times slower than fp32, and one large matrix product 250 times. Such a unit is simple enough to
emulate: both factors are rounded to bf16, and their products are summed in fp32, at the speed of fp32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


def multiplies_bf16(device: torch.device | str) -> bool:
    """Whether the device multiplies bf16 matrices fast; for a CPU, ask oneDNN."""
    return torch.device(device).type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001


def bf16(device: torch.device | str) -> AbstractContextManager:
    """Inside `with bf16(device):` a frozen network multiplies in bf16: by autocast, else by `RoundedFactors`."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16) if multiplies_bf16(device) else RoundedFactors()


class RoundedFactors(TorchFunctionMode):
    """Linear layers and convolutions with all factors rounded to bf16; products, sums and results are fp32.

    A little more exact than autocast, which also rounds the results and multiplies attention in bf16. For inference:
    gradients do not pass through the rounding, as they would through autocast. Weights are rounded at every call, at
    little cost compared with the product once a batch has a few hundred tokens.
    """

    def __torch_function__(
        self, function: Callable, types: Sequence[type], args: tuple = (), kwargs: dict | None = None
    ) -> torch.Tensor:
        """Round the factors of products; call every other function unchanged."""
        if function in (F.linear, F.conv2d):
            args = [rounded(a) if isinstance(a, torch.Tensor) else a for a in args]
        return function(*args, **(kwargs or {}))


def rounded(x: torch.Tensor) -> torch.Tensor:
    """The nearest bf16 numbers, as float32."""
    return x.bfloat16().float()
