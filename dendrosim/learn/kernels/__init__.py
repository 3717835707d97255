"""Compiled loops for the step of a layer and its derivative, for processors and GPUs."""
