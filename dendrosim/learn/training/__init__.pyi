from .evaluation import Evaluation as Evaluation
from .evaluation import evaluate as evaluate
from .recipe import Recipe as Recipe
from .recipe import load_recipe as load_recipe
from .run import train as train
from .run_folder import TrainingResult as TrainingResult
