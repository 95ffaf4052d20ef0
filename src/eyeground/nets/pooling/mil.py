"""Gated attention over the elements, for each label (Ilse, Tomczak & Welling, ICML 2018, "Attention-based deep multiple
instance learning", eq. 7 and 9).

An eye is a bag, an element of its map an instance. The classifier is linear, so the paper's classifier of the pooled
features w · (Σ a F) + b is the pooled evidence Σ a (w · F + b). Ours: one attention for each label on shared V, U (the
paper has one label), and a last layer of zeros, so that training starts from the plain mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eyeground.nets.pooling.base import Pooling, PoolingOptions, contributions

WIDTH = 128
"""Rows of V and U, L in the paper."""


class AttentionMil(Pooling):
    """z_c = Σ a_c e_c, a_c = softmax over the elements of q_c · (tanh(V F) ⊙ sigmoid(U F)).

    The maps are contributions.
    """

    promise = (
        "Each map adds up to its eye's score: its mean is the eye's logit. It shows evidence times the attention that "
        "the label gives each place."
    )
    exact = True
    uniform = True

    def __init__(self, options: PoolingOptions) -> None:
        super().__init__(options)
        self.value = nn.Conv2d(options.channels, WIDTH, kernel_size=1)
        self.gate = nn.Conv2d(options.channels, WIDTH, kernel_size=1)
        self.question = nn.Conv2d(WIDTH, options.labels, kernel_size=1, bias=False)
        nn.init.zeros_(self.question.weight)

    def forward(self, evidence: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        return contributions(evidence, self.weights(features))

    def weights(self, features: Tensor) -> Tensor:
        """(n, C, h, w), positive, adding up to 1."""
        hidden = torch.tanh(self.value(features)) * torch.sigmoid(self.gate(features))
        asked = self.question(hidden).float()
        return asked.flatten(2).softmax(2).view_as(asked)
