"""Noise processes x = α·x₀ + σ·ε: variance preserving, rectified flow, EDM; their points and prediction types."""
