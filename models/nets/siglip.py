"""SigLIP's image tower (ViT SO400M/14 at 384 pixels) under timm's names for its tensors.

It is written out here, not taken from timm, for three reasons: two published models use the same weights with different
activations and must share them; oneDNN's prepacked layers are about a quarter faster in float32 than timm's on a CPU;
and timm takes longer to import than these weights take to load. Its outputs equal timm's.
"""

from __future__ import annotations

from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEAD_WIDTH = 72
"""Channels of one attention head, as published: 16 heads of the 1152 channels."""
EPSILON = 1e-6


class Layer(Protocol):
    """A linear layer that can be fused with what follows it."""

    def __call__(self, x: Tensor) -> Tensor: ...
    def gelu(self, x: Tensor, tanh: bool) -> Tensor: ...
    def add(self, x: Tensor, to: Tensor) -> Tensor: ...


class Dense(nn.Linear):
    """A linear layer as torch computes it."""

    def gelu(self, x: Tensor, tanh: bool) -> Tensor:
        """The layer, then GELU, exact or in its tanh approximation."""
        return F.gelu(self(x), approximate="tanh" if tanh else "none")

    def add(self, x: Tensor, to: Tensor) -> Tensor:
        """The layer, then the residual connection."""
        return to + self(x)


class Packed(nn.Module):
    """A linear layer with oneDNN's own weight order: the same arithmetic, faster on a CPU.

    It cannot be differentiated or moved to another device.
    """

    def __init__(self, weight: Tensor, bias: Tensor, rows: int) -> None:
        """`rows` is the expected number of input rows; any other works too."""
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        self.bias = bias.clone()

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")

    def gelu(self, x: Tensor, tanh: bool) -> Tensor:
        """As Dense.gelu, fused."""
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "gelu", [], "tanh" if tanh else "none")

    def add(self, x: Tensor, to: Tensor) -> Tensor:
        """As Dense.add, fused."""
        return torch.ops.mkldnn._linear_pointwise.binary(x, to, self.weight, self.bias, "add")


class Attention(nn.Module):
    """Self-attention over all patches."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = Dense(width, 3 * width)
        self.proj = Dense(width, width)

    def mix(self, x: Tensor) -> Tensor:
        """[B, N, C] to the heads' joined outputs [B, N, C], before the last layer."""
        count, patches, width = x.shape
        heads = cast("Layer", self.qkv)(x).reshape(count, patches, 3, width // HEAD_WIDTH, HEAD_WIDTH)
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(count, patches, width)


class Mlp(nn.Module):
    """Two linear layers with GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Dense(width, hidden)
        self.fc2 = Dense(hidden, width)

    def add(self, x: Tensor, to: Tensor, tanh: bool) -> Tensor:
        """`to` plus the layers' output for x."""
        first, second = cast("Layer", self.fc1), cast("Layer", self.fc2)
        return second.add(first.gelu(x, tanh), to)


class Block(nn.Module):
    """One layer of the tower."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attn = Attention(width)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = Mlp(width, hidden)

    def forward(self, x: Tensor, tanh: bool) -> Tensor:
        x = cast("Layer", self.attn.proj).add(self.attn.mix(self.norm1(x)), x)
        return self.mlp.add(self.norm2(x), x, tanh)

    def pack(self, rows: int) -> None:
        """Put all linear layers into oneDNN's weight order."""
        for owner, name in ((self.attn, "qkv"), (self.attn, "proj"), (self.mlp, "fc1"), (self.mlp, "fc2")):
            dense = getattr(owner, name)
            setattr(owner, name, Packed(dense.weight.detach(), dense.bias.detach(), rows))
        for norm in (self.norm1, self.norm2):
            for value in norm.parameters():
                value.data = value.data.clone()  # else they would keep the whole block of the mapped file in memory


class AttentionPool(nn.Module):
    """One learned query over all patches: [B, N, C] becomes [B, C]."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.latent = nn.Parameter(torch.empty(1, 1, width))
        self.q = Dense(width, width)
        self.kv = Dense(width, 2 * width)
        self.proj = Dense(width, width)
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = Mlp(width, hidden)

    def forward(self, features: Tensor, tanh: bool = False) -> Tensor:
        return self.finish(F.scaled_dot_product_attention(*self.ask(features)).flatten(1), tanh)

    def ask(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The query [B, H, 1, D], and the patches' keys and values [B, H, N, D]."""
        count, patches, width = features.shape
        heads = width // HEAD_WIDTH
        q = self.q(self.latent.expand(count, -1, -1)).reshape(count, 1, heads, HEAD_WIDTH).transpose(1, 2)
        kv = self.kv(features).reshape(count, patches, 2, heads, HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        return q, kv[0], kv[1]

    def attend(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Each head's attention to the patches [B, H, 1, N], and what it reads there [B, H, N, D]."""
        q, k, v = self.ask(features)
        return torch.softmax(q @ k.transpose(-2, -1) * HEAD_WIDTH**-0.5, dim=-1), v

    def finish(self, read: Tensor, tanh: bool = False) -> Tensor:
        """From the heads' readings [B, C] to the pooled vector [B, C]."""
        x = self.proj(read)
        return self.mlp.add(self.norm(x), x, tanh)


class PatchEmbed(nn.Module):
    """Square patches to vectors."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)


class SigLip(nn.Module):
    """The tower and its published attention pool."""

    def __init__(
        self, *, width: int = 1152, hidden: int = 4304, depth: int = 27, patch: int = 14, patches: int = 729
    ) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.empty(1, patches, width))
        self.patch_embed = PatchEmbed(width, patch)
        self.blocks = nn.ModuleList(Block(width, hidden) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.attn_pool = AttentionPool(width, hidden)

    def features(self, pixels: Tensor, tanh: bool = False) -> Tensor:
        """Pixels from -1 to 1, [B, 3, H, W], to one vector for each patch, [B, N, C]."""
        x = self.patch_embed.proj(pixels.to(self.pos_embed.dtype)).flatten(2).transpose(1, 2) + self.pos_embed
        for block in self.blocks:
            x = block(x, tanh)
        return self.norm(x)

    def forward(self, pixels: Tensor, tanh: bool = False) -> Tensor:
        """As `features`, pooled to [B, C]."""
        return self.attn_pool(self.features(pixels, tanh), tanh)


class Pooled(nn.Module):
    """SigLIP's pooled vector, scaled to length 1: pixels [B, 3, H, W] from -1 to 1 become [B, C]."""

    def __init__(self, tower: SigLip) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, pixels: Tensor) -> Tensor:
        return F.normalize(self.tower(pixels).float(), dim=-1)


def can_pack(dtype: torch.dtype = torch.float32) -> bool:
    """Whether this torch has oneDNN's prepacked layers for a dtype, and they compute correctly."""
    if not torch.backends.mkldnn.is_available():
        return False
    try:
        generator = torch.Generator().manual_seed(0)
        sizes = ((4, 16), (24, 16), (24,))
        x, weight, bias = (torch.randn(size, generator=generator).to(dtype) for size in sizes)
        packed, dense = Packed(weight, bias, 4), F.linear(x, weight, bias)
        pairs = (
            (packed(x), dense),
            (packed.gelu(x, tanh=False), F.gelu(dense)),
            (packed.gelu(x, tanh=True), F.gelu(dense, approximate="tanh")),
            (packed.add(x, dense), dense + dense),
        )
        near = 1e-5 if dtype == torch.float32 else 0.1  # two roundings to bfloat16 of sums near 10
        return all(torch.allclose(ours, theirs, atol=near) for ours, theirs in pairs)
    except (
        AttributeError,
        RuntimeError,
        NotImplementedError,
    ):  # these operators are not public
        return False
