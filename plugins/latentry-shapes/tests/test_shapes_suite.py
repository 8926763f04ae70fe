"""The shipped model does what an installed model must."""

from latentry.testing import CheckpointSuite


class TestShapes(CheckpointSuite):
    checkpoint = "shapes"
