"""Networks that steer the denoiser by pictures: finding and opening them, and what they inject at each evaluation.

May use: ``_errors``, ``_specs``, ``_discovery``, ``_numerics``, ``_contract``, ``_request``, ``_files``.
"""
