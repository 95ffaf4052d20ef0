"""What travels through a network: a `Batch` of visits goes in, an `Output` of logits and evidence comes out.

Axes: B visits, E = 2 eyes (left, right), C labels, H × W pixels, h × w map elements.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from eyeground.images.cache import CacheEntry
from eyeground.records import SIDES, Visit, keyword_states, label_arrays

Keep = Literal["auto", "device", "memory", "disk"]


@dataclass  # not frozen: Fabric converts its tensors in place under mixed precision
class Batch:
    """B visits. Pixels of an eye that is not `seen` are zeros and must not be looked at.

    fundus float32 (B, E, 3, H, W) RGB in [0, 1]; seen bool (B, E); labels float32 (B, C) with known bool (B, C);
    eye_labels float32 (B, E, C) with eye_known bool (B, E, C); ids: the visits' names; oct is kept for
    (B, E, S, 1, h, w) B-scans and is None for fundus-only cohorts. weight float32 (B,) is what a visit counts in the
    loss, None for 1 each. findings float32 (B, E, F) tells which keywords an eye has, NaN where it has none; None where
    none are taught.
    """

    fundus: Tensor
    seen: Tensor
    labels: Tensor
    known: Tensor
    eye_labels: Tensor
    eye_known: Tensor
    ids: tuple[str, ...]
    oct: Tensor | None = None
    weight: Tensor | None = None
    findings: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device) -> Batch:
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        moved = {k: v.to(device, non_blocking=True) for k, v in values.items() if isinstance(v, Tensor)}
        return Batch(**{**values, **moved})


class Output(NamedTuple):
    """Visit logits (B, C); eye logits (B, E, C), eyes not seen hold NaN, or None; evidence (B, E, C, h, w) or None.

    Evidence is in logit units; what it adds up to is the method's promise (`evidence_explains`). `findings` (B, E, F)
    are logits of `Batch.findings`, in training only.
    """

    visit_logits: Tensor
    eye_logits: Tensor | None = None
    evidence: Tensor | None = None
    findings: Tensor | None = None


class EyePixels:
    """The cropped eyes of a cohort, by index, as uint8 (n, S, S, 3).

    `keep` decides where they live: on the training device, decoded in memory, or on disk (read ahead by threads).
    `auto` takes memory while the cohort needs less than 8 GiB, and the device when that is a GPU with as much free.
    """

    LIMIT = 8 * 2**30

    def __init__(self, entries: Sequence[CacheEntry], keep: Keep, device: torch.device) -> None:
        self.entries = entries
        self.device = device
        need = sum(entry.geometry.size**2 * 3 for entry in entries)
        if keep == "auto":
            keep = "disk" if need > self.LIMIT else "device" if _fits(device, need) else "memory"
        self.keep: Keep = keep
        self.pixels: Tensor | None = None
        if keep != "disk" and entries:
            size = entries[0].geometry.size
            pixels = torch.empty((len(entries), size, size, 3), dtype=torch.uint8)
            for row, entry in enumerate(entries):
                pixels.numpy()[row] = entry.load()
            self.pixels = pixels.to(device) if keep == "device" else pixels

    def take(self, index: Tensor) -> Tensor:
        """uint8 (n, S, S, 3) on the training device, for int64 (n,) positions."""
        if self.pixels is not None:
            return self.pixels[index.to(self.pixels.device)].to(self.device, non_blocking=True)
        return self.read(index).to(self.device, non_blocking=True)

    def read(self, index: Tensor) -> Tensor:
        """uint8 (n, S, S, 3) from disk, in memory that a GPU copies from quickly."""
        pixels = torch.from_numpy(np.stack([self.entries[int(i)].load() for i in index]))
        return pixels.pin_memory() if self.device.type == "cuda" else pixels


def _fits(device: torch.device, need: int) -> bool:
    return device.type == "cuda" and torch.cuda.mem_get_info(device)[0] > 2 * need


class VisitSet:
    """Visits with their pixels and labels, ready to be batched.

    Args:
        visits: each with at least one readable eye.
        entries: for every visit, the prepared (left, right) eye or None.
        labels: number of labels C.
        keep, device: where the pixels live and where batches go.
        workers: threads that read ahead when the pixels are on disk.
        findings: keywords that are taught beside the labels, in lower case.
    """

    def __init__(
        self,
        visits: Sequence[Visit],
        entries: Sequence[tuple[CacheEntry | None, CacheEntry | None]],
        labels: int,
        keep: Keep,
        device: torch.device,
        workers: int = 0,
        findings: Sequence[str] = (),
    ) -> None:
        flat: list[CacheEntry] = []
        where = np.full((len(visits), 2), -1, dtype=np.int64)
        for row, pair in enumerate(entries):
            for side, entry in enumerate(pair):
                if entry is not None:
                    where[row, side] = len(flat)
                    flat.append(entry)
        self.ids = tuple(visit.id for visit in visits)
        self.where = torch.from_numpy(where)
        self.pixels = EyePixels(flat, keep, device)
        self.device, self.workers = device, workers
        unknown = (None,) * labels
        values, known = label_arrays([visit.labels for visit in visits], labels)
        both = [eye.labels if eye is not None else unknown for visit in visits for eye in visit.eyes]
        eye_values, eye_known = label_arrays(both, labels)
        self.labels, self.known = torch.from_numpy(values), torch.from_numpy(known)
        self.eye_labels = torch.from_numpy(eye_values).reshape(-1, 2, labels)
        self.eye_known = torch.from_numpy(eye_known).reshape(-1, 2, labels) & (self.where >= 0)[..., None]
        self.weight: Tensor | None = None
        self.named = tuple(findings)
        self.findings = torch.from_numpy(keyword_states(visits, findings)) if findings else None

    def __len__(self) -> int:
        return len(self.ids)

    def by_eye(self) -> VisitSet:
        """Every photograph as a visit of its own, `<visit>_left` or `<visit>_right`, with its eye's labels."""
        rows, sides = torch.nonzero(self.where >= 0, as_tuple=True)
        alone, here = copy.copy(self), torch.zeros(len(rows), 2, dtype=torch.bool)
        here[torch.arange(len(rows)), sides] = True
        alone.ids = tuple(f"{self.ids[int(row)]}_{SIDES[int(side)]}" for row, side in zip(rows, sides, strict=True))
        alone.where = torch.where(here, self.where[rows], -1)
        alone.labels, alone.known = self.eye_labels[rows, sides], self.eye_known[rows, sides]
        alone.eye_labels = torch.where(here[..., None], self.eye_labels[rows], 0.0)
        alone.eye_known = self.eye_known[rows] & here[..., None]
        if self.findings is not None:
            alone.findings = torch.where(here[..., None], self.findings[rows], torch.nan)
        return alone

    def visit_labels_to_eyes(self) -> VisitSet:
        """The same visits, each eye with the labels of its visit."""
        copied, here = copy.copy(self), (self.where >= 0)[..., None]
        copied.eye_labels = self.labels[:, None] * here
        copied.eye_known = self.known[:, None] & here
        return copied

    def weighted(self, weight: Tensor | None) -> VisitSet:
        """The same visits, each counting `weight` float32 (n,) in the loss; None is 1 each."""
        heavy = copy.copy(self)
        heavy.weight = weight
        return heavy

    def assemble(self, rows: Tensor, taken: Tensor) -> Batch:
        """A batch of the visits `rows` (int64 (B,)) from the pixels of their seen eyes, uint8 (n, S, S, 3)."""
        where = self.where[rows]
        seen = where >= 0
        size = taken.shape[1]
        device = self.device
        fundus = torch.zeros((len(rows), 2, 3, size, size), device=device)
        fundus[seen.to(device)] = taken.permute(0, 3, 1, 2).float().div_(255)
        return Batch(
            fundus=fundus,
            seen=seen,
            labels=self.labels[rows],
            known=self.known[rows],
            eye_labels=self.eye_labels[rows],
            eye_known=self.eye_known[rows],
            ids=tuple(self.ids[int(row)] for row in rows),
            weight=None if self.weight is None else self.weight[rows],
            findings=None if self.findings is None else self.findings[rows],
        ).to(device)

    def batches(self, order: Sequence[Tensor]) -> Iterator[Batch]:
        """Yields one batch per tensor of row numbers in `order`."""
        if self.pixels.keep != "disk" or self.workers == 0:
            for rows in order:
                where = self.where[rows]
                yield self.assemble(rows, self.pixels.take(where[where >= 0]))
            return
        wanted = (where[where >= 0] for where in (self.where[rows] for rows in order))
        for rows, taken in zip(order, _ahead(self.pixels.read, wanted, self.workers), strict=True):
            yield self.assemble(rows, taken.to(self.device, non_blocking=True))


def _ahead(read: Callable[[Tensor], Tensor], wanted: Iterable[Tensor], workers: int) -> Iterator[Tensor]:
    """Yields `read` of each item in order, a few ahead of who asks. Threads will do: reading leaves Python's lock."""
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[Tensor]] = deque()
        for item in wanted:
            pending.append(pool.submit(read, item))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
