"""Fits: the values of a model whose responses are closest to those of a model or a cell."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
