from .dynamics import Dynamics as Dynamics
from .fit import fit_reduction as fit_reduction
from .ladder import Ladder as Ladder
from .ladder import ladder as ladder
from .reduced import Reduction as Reduction
from .reduction import reduce as reduce
from .spike_cut import SpikeCut as SpikeCut
from .spike_cut import spike_cut as spike_cut
