"""The posterior of a fit: which values explain the target, by neural posterior estimation."""
