"""What the checkpoints and models of all families have in common: the autoencoder, masks, picture sizes, time shift.

May use every room but ``convert``.
"""
