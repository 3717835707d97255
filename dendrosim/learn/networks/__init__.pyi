from .torch_cells import CellNetwork as CellNetwork
from .torch_network import TorchNetwork as TorchNetwork
from .torch_network import TorchOutput as TorchOutput
