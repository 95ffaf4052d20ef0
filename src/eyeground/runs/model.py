"""From a bundle's folder to a model that answers: weights and preprocessing come together or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from eyeground.batches import VisitSet
from eyeground.errors import BundleError
from eyeground.images.cache import CacheEntry
from eyeground.methods import find_method
from eyeground.records import Visit
from eyeground.runs.bundle import Bundle, load_bundle
from eyeground.runs.place import Place
from eyeground.runs.predict import predict
from eyeground.runs.predictions import Predictions
from eyeground.runs.recipe import Recipe
from eyeground.settings import fill


@dataclass(frozen=True)
class Model:
    """A loaded bundle with its network in eval mode. `map_note` says what the evidence maps explain."""

    bundle: Bundle
    network: nn.Module
    recipe: Recipe
    map_note: str
    device: torch.device

    def predict(
        self, visits: Sequence[Visit], eyes: Sequence[tuple[CacheEntry | None, CacheEntry | None]], evidence: bool
    ) -> Predictions:
        """Logits (and evidence) of visits whose eyes were prepared with this bundle's preprocessing."""
        data = VisitSet(visits, eyes, len(self.bundle.vocabulary), "auto", self.device)
        mirrored = bool(self.bundle.config["predict"]["mirrored"])
        return predict(self.network, data, self.recipe.batch_size, self.recipe.laterality, mirrored, evidence)


def load(folder: Path, place: Place | None = None) -> Model:
    """Loads a bundle: the network and everything that belongs to it.

    Raises:
        BundleError: incomplete, altered, newer, or weights that do not fit its own configuration.
        UsageError: a method or trunk that is not here.
    """
    return build(load_bundle(folder), place)


def build(bundle: Bundle, place: Place | None = None) -> Model:
    """`load` for a bundle that is read already. Weights stored in half precision are computed with in single."""
    where = f"{bundle.folder}/config.toml"
    values = dict(bundle.config["method"])
    method = find_method(values.pop("name"))
    config = fill(method.Config, {**values, "trunk_weights": "none"} if "trunk_weights" in values else values, where)
    recipe = fill(Recipe, bundle.config["recipe"], where)
    members = int(bundle.config["predict"].get("members", 1))
    nets = [method.build(config, bundle.vocabulary, recipe.size) for _ in range(members)]
    network: nn.Module = nets[0] if members == 1 else method.joined(nets, config)
    try:
        network.load_state_dict(load_file(str(bundle.weights)))
    except RuntimeError as error:
        raise BundleError(
            f"the weights in {bundle.folder} do not fit its config.toml: {str(error).splitlines()[-1].strip()}"
        ) from error
    device = torch.device((place or Place()).kind())
    network = network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return Model(bundle, network, recipe, method.maps(config), device)
