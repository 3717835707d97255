"""dendrosim: from ion channels to trained spiking circuits, in Brian2.

>>> import dendrosim as ds
>>> model = ds.load_model("kepecs_wang_2000")
>>> recording = ds.simulate(model, ds.load_protocol("step"))    # doctest: +SKIP

Names are imported when they are first used, so importing the package costs nothing.
"""

from pathlib import Path

import lazy_loader

from dendrosim import brian2_import
from dendrosim._version import __version__

brian2_import.install()

__getattr__, __dir__, _names = lazy_loader.attach_stub(__name__, __file__)

#: Functions and classes; the rooms are attributes too, but ``import *`` does not load them.
__all__ = ["__version__", *(n for n in _names if not Path(__file__).with_name(n).is_dir())]
