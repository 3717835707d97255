"""Features of spike trains and of voltage traces: pure functions of arrays in SI units.

Times are in seconds, potentials in volt, currents in ampere per square metre.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
