from .files import load_network as load_network
from .job import NetworkJob as NetworkJob
from .layer import Layer as Layer
from .network import Network as Network
from .run import NetworkOutput as NetworkOutput
from .run import run_network as run_network
