"""The loss of a training step: across views, inside each view, without pairs that show the same place."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from geolocator_gui.ml.loss import InfoNCE


class BatchLoss:
    """Symmetric InfoNCE across views, and inside each view where a second look is given.

    Args:
        label_smoothing: Share of the target spread evenly over the candidates.
        inner_contrast: Weight of the contrast inside each view.
        ignore: bool (B, B), candidates that are not negatives of a row; None for none.
    """

    def __init__(
        self, label_smoothing: float, inner_contrast: float = 0.0, ignore: Tensor | None = None
    ) -> None:
        self._plain = InfoNCE(label_smoothing)
        self._smoothing, self._inner, self._ignore = label_smoothing, inner_contrast, ignore

    def __call__(self, features: list[Tensor], logit_scale_exp: Tensor) -> Tensor:
        """Scalar float32 of raw features (B, D): ground, satellite, and perhaps second looks at both."""
        loss = self._pair(features[0], features[1], logit_scale_exp)
        if len(features) == 4 and self._inner:
            inner = self._pair(features[0], features[2], logit_scale_exp)
            inner = inner + self._pair(features[1], features[3], logit_scale_exp)
            loss = loss + self._inner * inner / 2
        return loss

    def _pair(self, query: Tensor, reference: Tensor, logit_scale_exp: Tensor) -> Tensor:
        if self._ignore is None:
            loss: Tensor = self._plain(query, reference, logit_scale_exp)
            return loss
        with torch.autocast(query.device.type, enabled=False):
            query = functional.normalize(query.float(), dim=-1)
            reference = functional.normalize(reference.float(), dim=-1)
            logits = logit_scale_exp * query @ reference.T
            forth = _cross_entropy(logits, self._ignore, self._smoothing)
            return (forth + _cross_entropy(logits.T, self._ignore.T, self._smoothing)) / 2


def _cross_entropy(logits: Tensor, ignore: Tensor, smoothing: float) -> Tensor:
    """Cross entropy against the diagonal over the candidates that are not ignored, their share smoothed."""
    log_share = torch.log_softmax(logits.masked_fill(ignore, -torch.inf), dim=1)
    hit = -log_share.diagonal()
    spread = -log_share.masked_fill(ignore, 0.0).sum(dim=1) / (~ignore).sum(dim=1)
    return ((1.0 - smoothing) * hit + smoothing * spread).mean()
