"""What a family can inherit: checkpoints, models, attention and weights of networks in plain PyTorch.

May use: ``_errors``, ``_specs``, ``_numerics``, ``_contract``, ``_attention``.
"""
