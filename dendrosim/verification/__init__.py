"""Comparison of one network on several devices: the first spike that differs.

A difference is a tie if the state was at its threshold up to rounding.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
