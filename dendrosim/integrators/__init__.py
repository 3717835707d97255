"""Integration methods that Brian2 does not have; importing this room registers them."""

from dendrosim.integrators.rush_larsen import RushLarsen

__all__ = ["RushLarsen"]
