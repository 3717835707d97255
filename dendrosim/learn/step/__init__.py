"""One step of a model in torch, generated from its text, with surrogate gradients."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
