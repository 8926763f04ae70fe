"""What a host asks for and gets back: requests, recipes, results, and the memory policy.

May use: ``_errors``, ``_policy``, ``_specs``, ``_discovery``, ``_numerics``, ``_contract``, ``_pictures``.
"""
