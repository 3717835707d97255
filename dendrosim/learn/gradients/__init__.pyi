from . import propagation as propagation
from .linearised import Linearised as Linearised
from .loss_surface import landscape as landscape
from .maps import parameter_map as parameter_map
from .trajectories import LayerRun as LayerRun
from .trajectories import follow as follow
