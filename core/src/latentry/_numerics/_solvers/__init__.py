"""Pieces that several schedulers share: exponential integrators and their stages, weights, Heun's step, noise."""
