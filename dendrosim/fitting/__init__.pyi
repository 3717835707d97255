from .features import FEATURES as FEATURES
from .fit import fit as fit
from .posterior.result import Posterior as Posterior
from .result import Fit as Fit
