"""The hub does what a model source must."""

from latentry.testing import ModelSourceSuite


class TestHub(ModelSourceSuite):
    source = "hub"
