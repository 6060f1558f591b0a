"""FARAMIR's own part: an attention pool, a norm and a gated head over SigLIP, the aesthetic head and ARNIQA."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.errors import NotExplainable
from ..nets.aesthetic import AestheticHead
from ..nets.arniqa import Encoder
from ..nets.siglip import AttentionPool, SigLip

CLASSES = 30
FREE = 2
HIDDEN = 64
DECISION = 8
AESTHETIC = 16

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class AdaptiveSigmoid(nn.Module):
    """FARAMIR's activation: between x and tanh(x), gated by a sigmoid whose slope depends on the sign of x."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.empty(width))
        self.gamma_m = nn.Parameter(torch.empty(width))
        self.gamma_p = nn.Parameter(torch.empty(width))

    def forward(self, x: Tensor) -> Tensor:
        slope = torch.where(x < 0.0, self.gamma_m, self.gamma_p.abs() + 1.0)
        return torch.lerp(x, x.tanh(), self.alpha.sigmoid()) * (x * slope).sigmoid()


class ChannelNorm(nn.Module):
    """Subtracts the training data's mean and divides by its deviation, channel by channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.stddev: Tensor
        self.register_buffer("mean", torch.empty(width))
        self.register_buffer("stddev", torch.empty(width))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.stddev


class Norm(nn.Module):
    """One ChannelNorm for each of the three experts."""

    def __init__(self, width: int, quality: int) -> None:
        super().__init__()
        self.ap_norm = ChannelNorm(width)
        self.ae_norm = ChannelNorm(AESTHETIC)
        self.q_norm = ChannelNorm(quality)

    def forward(self, pooled: Tensor, aesthetic: Tensor, quality: Tensor) -> Tensor:
        """The experts' vectors, normalised and joined."""
        return torch.cat([self.ap_norm(pooled), self.ae_norm(aesthetic), self.q_norm(quality)], dim=-1)


class Head(nn.Module):
    """From the experts' joined vectors to thirty gated classes, two free values, and the decision."""

    def __init__(self, joined: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(joined, HIDDEN)
        self.activation_1 = AdaptiveSigmoid(HIDDEN)
        self.linear_2 = nn.Linear(HIDDEN, 2 * CLASSES + FREE)
        self.linear_3 = nn.Linear(CLASSES + FREE, DECISION)
        self.activation_2 = AdaptiveSigmoid(DECISION)
        self.linear_4 = nn.Linear(DECISION, 1)

    def classes(self, joined: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Raw logits [B, 30], gate logits [B, 30], free values [B, 2]."""
        raw, gate, free = self.linear_2(self.activation_1(self.linear_1(joined))).split(
            [CLASSES, CLASSES, FREE], dim=-1
        )
        return raw, gate, free

    def decide(self, inputs: Tensor) -> Tensor:
        """The 32 inputs of the decision (gated class values, then free values) to its logit, [B, 1]."""
        return self.linear_4(self.activation_2(self.linear_3(inputs)))


class Own(nn.Module):
    """What faramir-v1.pth holds, under its names."""

    def __init__(self, *, width: int = 1152, hidden: int = 4304, quality: int = 128) -> None:
        super().__init__()
        self.attn_pool = AttentionPool(width, hidden)
        self.norm = Norm(width, quality)
        self.head = Head(width + AESTHETIC + quality)


class Faramir(nn.Module):
    """The whole ensemble. Trunk, pools and convolutions may be in bfloat16; heads always compute in float32."""

    def __init__(self, tower: SigLip, encoder: Encoder, aesthetic: AestheticHead, own: Own) -> None:
        super().__init__()
        self.tower = tower
        self.encoder = encoder
        self.aesthetic = aesthetic
        self.own = own

    def forward(self, picture: Tensor, crop: Tensor) -> Tensor:
        """[B, 3, 384, 384] and [B, 3, 512, 512], both 0 to 1, to the columns of models/faramir/labels.py's LABELS."""
        return self.judge(self.tower.features((picture - 0.5) * 2.0), self.quality(crop))

    def quality(self, crop: Tensor) -> Tensor:
        """ARNIQA's 128 values for the quality crop."""
        mean, std = (crop.new_tensor(values)[:, None, None] for values in IMAGENET)
        return self.encoder.projected((crop - mean) / std)

    def judge(self, features: Tensor, quality: Tensor) -> Tensor:
        """From the patches' vectors [B, N, C] and ARNIQA's values to all columns."""
        return self.columns(self.own.attn_pool(features).float(), *self.aesthetics(features), quality)

    def aesthetics(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The aesthetic head on SigLIP's own pool: hidden values [B, 16] and the score [B, 1]."""
        return self.aesthetic(self.tower.attn_pool(features))

    def columns(self, pooled: Tensor, hidden: Tensor, score: Tensor, quality: Tensor) -> Tensor:
        """From the three experts' vectors to all columns."""
        raw, gate, free = self.own.head.classes(self.own.norm(pooled, hidden, quality))
        value = raw * gate.sigmoid()
        logit = self.own.head.decide(torch.cat([value, free], dim=-1))
        accept = logit.sigmoid()
        return torch.cat([accept, value.sigmoid(), accept, logit, value, raw, gate, free, score], dim=-1)

    def heatmap(
        self, picture: Tensor, crop: Tensor, *, targets: Tensor | None, method: str
    ) -> tuple[Tensor, Tensor, Tensor]:
        """All columns, the labels explained, and where the attention pool read the evidence for them, [B, 27, 27].

        The pool's output is a sum over the patches: each head's attention to a patch times what it reads there. That
        sum, times the gradient of the label's logit with respect to it, is split into the patches' own terms: exact for
        the pool's sum, first order beyond it, and nothing is shown that the pool did not read. Evidence against is
        left out. It does not show where in the picture the cause lies: patches have exchanged information in the 27
        layers before. ARNIQA's view and the aesthetic head have no part in it. Raises NotExplainable for other methods.
        """
        if method != "grad-cam":
            raise NotExplainable("FARAMIR's map is its attention pool's own; there is no smoothed one.")
        with torch.inference_mode():
            features = self.tower.features((picture - 0.5) * 2.0)
            experts = (*self.aesthetics(features), self.quality(crop))
            attention, values = self.own.attn_pool.attend(features)
        # Tensors from inference mode must be copied before they can be differentiated.
        with torch.inference_mode(False), torch.enable_grad():
            read = (attention @ values).clone().requires_grad_()
            pooled = self.own.attn_pool.finish(read.flatten(1)).float()
            columns = self.columns(pooled, *(expert.clone() for expert in experts))
            chosen = answers(columns) if targets is None else targets
            wanted = columns.gather(1, logit_of(chosen)[:, None]).sum()
            (slope,) = torch.autograd.grad(wanted, read)
        shares = (attention[:, :, 0] * (values * slope).sum(-1)).sum(1).float()
        side = round(shares.shape[1] ** 0.5)
        return columns.detach(), chosen, shares.clamp(min=0).reshape(-1, side, side)


ACCEPTING = 9
FIRST_LOGIT = CLASSES + 3
"""The first class's logit. Before it come accept, the classes' probabilities, confidence and the accept logit."""


def answers(columns: Tensor) -> Tensor:
    """The column of each picture's answer, [B]: the strongest of 9 classes where accepted, else of 21."""
    logits = columns[:, FIRST_LOGIT : FIRST_LOGIT + CLASSES]
    accepting, rejecting = logits[:, :ACCEPTING].argmax(1), ACCEPTING + logits[:, ACCEPTING:].argmax(1)
    return 1 + torch.where(columns[:, 0] > 0.5, accepting, rejecting)


def logit_of(columns: Tensor) -> Tensor:
    """The columns of the logits behind probabilities, which are flat near 0 and 1."""
    decision = (columns == 0) | (columns == CLASSES + 1)
    moved = torch.where(columns <= CLASSES, columns + FIRST_LOGIT - 1, columns)
    return torch.where(decision, FIRST_LOGIT - 1, moved)
