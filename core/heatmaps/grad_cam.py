"""Class activation maps of nets that have a body, which makes feature maps, and a head on top of it.

If the head is mean pooling and one linear layer, the gradient of a class is known and the same in every cell: the
class's row of weights, divided by the number of cells. So Grad-CAM (Selvaraju et al. 2017) is one weighted sum of the
feature maps, without autograd. For other heads, the gradient is taken through the head alone, never through the body.
"""

# pyright: reportUnknownMemberType=false
# torch leaves parts of its interface untyped.
from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

Head = Callable[[Tensor], Tensor]
"""[B, K, h, w] feature maps to [B, C] logits."""

SAMPLES, STD = 4, 0.3
"""The values of torch-cam's SmoothGradCAM++, which the realism study used."""
EPSILON = 1e-8


def linear_cam(features: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Grad-CAM in closed form: from [B, K, h, w] maps and the linear layer's [C, K] weights to [B, h, w] >= 0."""
    rows = weight[targets].to(features.dtype)
    return torch.einsum("bkhw,bk->bhw", features, rows).relu() / (features.shape[2] * features.shape[3])


def grad_cam(features: Tensor, head: Head, targets: Tensor) -> Tensor:
    """Grad-CAM of any differentiable head: [B, h, w] >= 0."""
    gradient = head_gradient(features, head, targets)
    return (features * gradient.mean((2, 3), keepdim=True)).sum(1).relu()


def head_gradient(features: Tensor, head: Head, targets: Tensor) -> Tensor:
    """The gradient [B, K, h, w] of each picture's target logit; works in inference mode and has no side effects."""
    with torch.inference_mode(False), torch.enable_grad():
        leaf = features.detach().clone().requires_grad_()
        chosen = head(leaf).gather(1, targets.clone().view(-1, 1)).sum()
        (gradient,) = torch.autograd.grad(chosen, leaf)
    return gradient


def linear_gradient(features: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Like `head_gradient`, without autograd, for mean pooling and a linear layer: the same in every cell."""
    rows = weight[targets] / (features.shape[2] * features.shape[3])
    return rows[:, :, None, None].to(features.dtype).expand_as(features)


def smooth_grad_cam_pp(
    body: Callable[[Tensor], Tensor],
    gradient: Callable[[Tensor, Tensor], Tensor],
    pixels: Tensor,
    features: Tensor,
    targets: Tensor,
    *,
    noise: Iterable[Tensor],
    constant: bool = False,
) -> Tensor:
    """SmoothGradCAM++ (Omeiza et al. 2019) as torch-cam computes it: [B, h, w] >= 0.

    Args:
        gradient: a function of features and targets, such as `head_gradient` with a head.
        pixels: [B, 3, H, W], normalised; each tensor of `noise` is added to them in turn.
        features: what the body makes of the pixels without noise.
        constant: whether `gradient` is the same for all features. Then the net runs only on the last noise.

    Two traits of torch-cam are kept: the numerator of alpha is the second power of the gradient, not the first as in
    the paper; and the map and gradient that are weighted at the end are those of the last noisy picture.
    """
    shifts = list(noise)
    second, third = torch.zeros_like(features), torch.zeros_like(features)
    last, found = features, gradient(features, targets)
    for shift in shifts[-1:] if constant else shifts:
        last = body(pixels + shift)
        found = gradient(last, targets)
        second, third = second + found**2, third + found**3
    count = 1 if constant else len(shifts)
    second, third = second / count, third / count
    weighted = (third * features).flatten(2).sum(2)[:, :, None, None]
    alpha = second / (2 * second + weighted + EPSILON)
    weights = (alpha * found.relu()).flatten(2).sum(2)[:, :, None, None]
    return torch.nansum(weights * last, dim=1).relu()


def noise_like(pixels: Tensor, samples: int = SAMPLES, std: float = STD, seed: int = 0) -> list[Tensor]:
    """The noise that torch-cam draws after manual_seed(seed); the same for the same shape and seed on every device."""
    random = torch.Generator().manual_seed(seed)
    middle, spread = torch.zeros(pixels.shape), torch.full(pixels.shape, std)
    return [torch.normal(middle, spread, generator=random).to(pixels.device) for _ in range(samples)]
