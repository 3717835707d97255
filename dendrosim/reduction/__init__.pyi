from .dynamics import Dynamics as Dynamics
from .fit import fit_reduction as fit_reduction
from .reduced import Reduction as Reduction
from .reduction import reduce as reduce
