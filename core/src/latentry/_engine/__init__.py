"""From a request to pictures with their recipes. Importing this imports nothing: `latentry inspect` needs no torch."""
