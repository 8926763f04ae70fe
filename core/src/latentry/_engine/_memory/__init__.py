"""How much memory a request takes: offload, tiles, dtypes by part."""
