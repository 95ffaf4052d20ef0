"""Where a training happens: devices, precision, processes. Nothing here changes what is learned, only how fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from lightning.fabric import Fabric

from eyeground.batches import Keep
from eyeground.errors import UsageError
from eyeground.runs.place import Place


@dataclass(frozen=True)
class Machine(Place):
    """The hardware's side of a training run."""

    devices: int = 1
    """Devices (CPU: processes) on each node."""
    nodes: int = 1
    """Nodes, started by the usual launcher (torchrun, SLURM)."""
    keep: Keep = "auto"
    """Where cropped photographs live while training: device, memory, disk, or auto."""
    threads: int = 0
    """Processor threads for torch; 0 leaves its default."""

    def __post_init__(self) -> None:
        if self.devices < 1 or self.nodes < 1:
            raise UsageError(f"--devices {self.devices} on --nodes {self.nodes}: both are at least 1")


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
    accelerator = machine.kind()
    if accelerator == "cuda" and machine.devices > torch.cuda.device_count():
        raise UsageError(f"--devices {machine.devices}: there are {torch.cuda.device_count()} GPUs here")
    fabric = Fabric(
        accelerator=accelerator,
        devices=machine.devices,
        num_nodes=machine.nodes,
        strategy="ddp" if machine.devices * machine.nodes > 1 else "auto",
        precision=choose_precision(precision, accelerator),  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric
