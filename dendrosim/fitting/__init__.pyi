from .features import FEATURES as FEATURES
from .fit import fit as fit
from .result import Fit as Fit
