"""The network: element features, convolutions, pooling heads."""

from .network import CrystalNetwork, NetworkSettings

__all__ = ["CrystalNetwork", "NetworkSettings"]
