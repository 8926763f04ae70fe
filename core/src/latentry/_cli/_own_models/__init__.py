"""Models that someone gave names to with ``latentry models add``, and the plugin that registers them."""
