"""Where a run happens: device, precision, processes. Nothing here changes what is learned, only how fast."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.fabric import Fabric

from eyeground.batches import Keep


def cache_folder() -> Path:
    """Where prepared photographs are kept: EYEGROUND_CACHE, else `~/.cache/eyeground`."""
    return Path(os.environ.get("EYEGROUND_CACHE") or Path.home() / ".cache" / "eyeground")


@dataclass(frozen=True)
class Machine:
    """The hardware's side of a command."""

    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    """Which kind of device computes."""
    devices: int = 1
    """Devices (CPU: processes) on each node."""
    nodes: int = 1
    """Nodes, started by the usual launcher (torchrun, SLURM)."""
    workers: int = 2
    """Processes that prepare photographs and read ahead."""
    keep: Keep = "auto"
    """Where cropped photographs live while training: device, memory, disk, or auto."""
    cache: Path | None = None
    """Folder of prepared photographs; default EYEGROUND_CACHE or ~/.cache/eyeground."""
    threads: int = 0
    """Processor threads for torch; 0 leaves its default."""

    def cache_path(self) -> Path:
        """The folder of prepared photographs in use."""
        return self.cache or cache_folder()


def choose_precision(asked: str, accelerator: str) -> str:
    """`auto` is bf16-mixed where the hardware multiplies bf16 (emulation is several times slower), else 32-true."""
    if asked != "auto":
        return asked
    if accelerator == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    able: dict[str, Any] = dict(getattr(torch.cpu, "get_capabilities", dict)())
    return "bf16-mixed" if able.get("avx512_bf16") or able.get("amx_bf16") else "32-true"


def launch(machine: Machine, precision: str) -> Fabric:
    """Starts Fabric on the chosen device(s); with several processes this call returns in each of them."""
    if machine.threads:
        torch.set_num_threads(machine.threads)
    accelerator = machine.accelerator
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    fabric = Fabric(
        accelerator=accelerator,
        devices=machine.devices,
        num_nodes=machine.nodes,
        strategy="ddp" if machine.devices * machine.nodes > 1 else "auto",
        precision=choose_precision(precision, accelerator),  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric
