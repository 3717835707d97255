"""Model text in torch: differentiable steps, networks and training.

Only this room imports torch (``pip install 'dendrosim[learn]'``), apart from
`dendrosim.networks.torch_files`, which reads torch's files, and
`dendrosim.fitting.posterior.neural`, which uses sbi.
"""

import lazy_loader

from dendrosim.errors import DendrosimError

try:
    import torch  # noqa: F401 (checked here, so that the reason is one sentence)
except ImportError:
    raise DendrosimError("torch is not installed: pip install 'dendrosim[learn]'") from None

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
