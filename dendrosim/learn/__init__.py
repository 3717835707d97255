"""Model text in torch: differentiable steps, networks and training.

This is the only room that imports torch (``pip install 'dendrosim[learn]'``), beside the reader of
torch's files in `dendrosim.networks.torch_files`.
"""

import lazy_loader

from dendrosim.errors import DendrosimError

try:
    import torch  # noqa: F401 (checked here, so that the reason is one sentence)
except ImportError:
    raise DendrosimError("torch is not installed: pip install 'dendrosim[learn]'") from None

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
