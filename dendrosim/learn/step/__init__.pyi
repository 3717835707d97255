from .continuous import ContinuousStep as ContinuousStep
from .discrete import DiscreteStep as DiscreteStep
from .surrogates import SURROGATES as SURROGATES
