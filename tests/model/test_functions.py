"""The table of functions: each derivative as text is correct in every implementation."""

import numpy as np
import pytest
import torch

from dendrosim.learn.step.functions import torch_functions
from dendrosim.model.functions import FUNCTIONS, HELPERS
from dendrosim.model.syntax import FUNCTIONS as MEANING
from dendrosim.model.syntax import evaluate

#: Values in the domain of every function, away from jumps.
X = np.array([0.05, 0.21, 0.4, 0.62, 0.93])


def slope_of(name, x):
    function = FUNCTIONS[name]
    known = {"x": x, "value": function.numpy(x)}
    return evaluate(function.tree, known, {**MEANING, **HELPERS}) + 0 * x


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_derivative_is_that_of_the_function(name):
    h = 1e-6
    numpy = FUNCTIONS[name].numpy
    assert slope_of(name, X) == pytest.approx((numpy(X + h) - numpy(X - h)) / (2 * h), rel=1e-8)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_torch_has_the_same_function_and_derivative(name):
    x = torch.tensor(X, requires_grad=True)
    value = torch_functions(torch.float64)[name](x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    np.testing.assert_allclose(value.detach(), FUNCTIONS[name].numpy(X), rtol=1e-14)
    np.testing.assert_allclose(slope, slope_of(name, X), rtol=1e-13)


def test_model_text_has_the_functions_of_the_table():
    assert MEANING.keys() == (FUNCTIONS.keys() - {"logistic"}) | {"clip", "int"}
