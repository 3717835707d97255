"""A step of a layer and its derivative as compiled loops, for processors and GPUs."""
