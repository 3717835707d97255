from .citations import citation as citation
from .model import Model as Model
from .parts import Parameter as Parameter
from .toml import as_model as as_model
from .toml import load_model as load_model
