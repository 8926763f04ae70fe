"""One network output from several: evaluating branches, guidance, and second networks.

May use: ``_errors``, ``_specs``, ``_discovery``, ``_numerics``, ``_contract``, ``_request``, ``_files``,
``_conditioning``.
"""
