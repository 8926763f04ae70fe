"""The shipped model is complete and matches its record."""

from __future__ import annotations

from support.shipped_model import ShippedModel

import latentry_shapes_z_image


class TestShippedModel(ShippedModel):
    module = latentry_shapes_z_image
    moved = False
