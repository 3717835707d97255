"""The energy of a network: the operations of one step times the price of each.

What counts as an operation is a convention, see `dendrosim.energy.conventions`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
