"""The guidance of a request: its method, its options, and the guard against steps that run away."""
