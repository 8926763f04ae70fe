"""What a model family implements and is given: models, checkpoints, conditioning, LoRA records, progress.

May use: ``_errors``, ``_specs``, ``_numerics``.
"""
