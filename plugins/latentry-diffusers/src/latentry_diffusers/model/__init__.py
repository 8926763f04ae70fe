"""Code shared by the checkpoints and models of all families: autoencoder, masks, picture sizes, time shift.

May use every room but ``convert``.
"""
