"""Pieces that several schedulers share: exponential integrators, weights, ancestral noise, churn, thresholding."""
