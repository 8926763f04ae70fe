"""How networks are kept in memory: offloading, block by block where asked, and tiles for the autoencoder.

May use: ``_errors``, ``_discovery``, ``_contract``, ``_request``.
"""
