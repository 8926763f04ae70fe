"""How networks are kept in memory: offload, as a whole or block by block, and tiles for the autoencoder.

May use: ``_errors``, ``_discovery``, ``_contract``, ``_request``.
"""
