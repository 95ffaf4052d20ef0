"""A forest of decision trees as plain arrays: grown by scikit-learn, kept without pickle, answered by numpy.

Breiman, "Random forests", Machine Learning 45:5-32, 2001. scikit-learn is needed for growing alone. What is kept of a
tree is what its `tree_` holds: for every node its children, the feature and the threshold it asks, and its value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEAF = -1
"""Stands for a child that is not there."""


@dataclass(frozen=True)
class Trees:
    """T trees that answer yes or no, their nodes one after the other.

    first int32 (T,): where each tree begins. left, right int32 (nodes,): a node's children, counted within its tree,
    `LEAF` in a leaf. feature int32, threshold float64 (nodes,): the left child is next where feature <= threshold.
    value float64 (nodes,): share of yes among what was grown there.
    """

    first: NDArray[np.int32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: Array
    value: Array

    def probability(self, values: NDArray[np.float32]) -> Array:
        """Mean over the trees of the reached leaf's value.

        Args:
            values: (n, K) float32, finite.

        Returns:
            (n,) float64; equal to `predict_proba(values)[:, 1]` of the forest that was grown.
        """
        n, start = len(values), self.first[:, None].astype(np.int64)
        node = np.repeat(start, n, axis=1)  # (T, n)
        sample = np.arange(n)[None, :]
        while True:
            left = self.left[node]
            inner = left != LEAF
            if not inner.any():
                return np.asarray(self.value[node].mean(axis=0))
            asked = values[sample, np.where(inner, self.feature[node], 0)]
            child = np.where(asked <= self.threshold[node], left, self.right[node])
            node = np.where(inner, start + child, node)

    def arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        """The arrays, called '<name>.left' and so on."""
        return {f"{name}.{key}": value for key, value in vars(self).items()}

    @staticmethod
    def from_arrays(name: str, arrays: Mapping[str, NDArray[np.generic]]) -> Trees:
        """The inverse of `arrays`.

        Raises:
            ValueError: an array is missing, of another length, or points outside of its tree.
        """
        keys = ("first", "left", "right", "feature", "threshold", "value")
        missing = [key for key in keys if f"{name}.{key}" not in arrays]
        if missing:
            raise ValueError(f"the trees of {name} have no {', '.join(missing)}")
        trees = Trees(*(arrays[f"{name}.{key}"] for key in keys))  # type: ignore[arg-type]
        trees.check(name)
        return trees

    def check(self, name: str) -> None:
        """Raises `ValueError` where a walk from the root would leave its tree or never end."""
        nodes = len(self.left)
        others = (self.right, self.feature, self.threshold, self.value)
        if not len(self.first) or any(len(one) != nodes for one in others):
            raise ValueError(f"the trees of {name} are not whole: their arrays differ in length")
        ends = np.append(self.first[1:], nodes)
        size = np.repeat(ends - self.first, np.maximum(ends - self.first, 0))
        if self.first[0] != 0 or (ends <= self.first).any():
            raise ValueError(f"the trees of {name} do not follow each other")
        own = np.arange(nodes) - np.repeat(self.first, ends - self.first)
        inner = self.left != LEAF
        for child in (self.left[inner], self.right[inner]):
            if ((child <= own[inner]) | (child >= size[inner])).any():
                raise ValueError(f"a node of the trees of {name} has a child that is not after it in its tree")


@dataclass(frozen=True)
class Growth:
    """How a forest is grown: number of trees, rows in the smallest leaf, seed. sqrt(K) features are tried at a node."""

    trees: int = 300
    leaf: int = 5
    seed: int = 0


def grow(values: NDArray[np.float32], positive: NDArray[np.bool_], growth: Growth) -> Trees:
    """Grows a forest with scikit-learn's `RandomForestClassifier`.

    Args:
        values: (n, K) float32, finite. positive: (n,), both answers are there.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed; it comes with the extra [train].
    """
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        n_estimators=growth.trees, min_samples_leaf=growth.leaf, max_features="sqrt", random_state=growth.seed
    )
    return kept([one.tree_ for one in forest.fit(values, positive).estimators_])


def kept(trees: Sequence[object]) -> Trees:
    """What is kept of scikit-learn's `tree_`s, whose two classes are no and yes."""
    counts = [len(tree.children_left) for tree in trees]  # type: ignore[attr-defined]

    def joined(name: str, kind: type[np.generic]) -> NDArray[np.generic]:
        return np.concatenate([np.asarray(getattr(tree, name)) for tree in trees]).astype(kind)

    share = np.concatenate([tree.value[:, 0, :] for tree in trees]).astype(np.float64)  # type: ignore[attr-defined]
    left = joined("children_left", np.int32)
    inner = left != LEAF
    return Trees(
        first=np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int32),
        left=left,  # type: ignore[arg-type]
        right=joined("children_right", np.int32),  # type: ignore[arg-type]
        feature=np.where(inner, joined("feature", np.int32), 0).astype(np.int32),
        threshold=np.where(inner, joined("threshold", np.float64), 0.0),
        value=share[:, 1] / share.sum(1),
    )
