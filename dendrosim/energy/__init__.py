"""The energy of a network: number of operations per step times the energy of each.

The definition of an operation depends on a convention, see `dendrosim.energy.conventions`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
