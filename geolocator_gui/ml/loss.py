"""The training loss: symmetric InfoNCE over a batch (van den Oord et al. 2018; Radford et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class InfoNCE(nn.Module):
    """Cross entropy of the cosine matrix against its diagonal, averaged over both directions.

    Args:
        label_smoothing: Share of the target spread evenly over the batch.
    """

    def __init__(self, label_smoothing: float = 0.1) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, query: Tensor, reference: Tensor, logit_scale_exp: Tensor | float) -> Tensor:
        """Loss of a batch, a scalar float32.

        Args:
            query: Raw features (B, D); row i belongs to row i of `reference`.
            reference: Raw features (B, D).
            logit_scale_exp: Inverse temperature, after the exponential.
        """
        with torch.autocast(query.device.type, enabled=False):
            query = functional.normalize(query.float(), dim=-1)
            reference = functional.normalize(reference.float(), dim=-1)
            logits = logit_scale_exp * query @ reference.T
            labels = torch.arange(len(logits), device=logits.device)
            forth = functional.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
            back = functional.cross_entropy(logits.T, labels, label_smoothing=self.label_smoothing)
            return (forth + back) / 2
