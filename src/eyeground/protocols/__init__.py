"""Protocols: how a study parts its cohort, named and hashed. One TOML file each; see docs/protocols.md."""

from eyeground.protocols.protocol import NAMES, Protocol, custom, find_protocol

__all__ = ["NAMES", "Protocol", "custom", "find_protocol"]
