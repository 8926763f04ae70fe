"""From an installed distribution or a loose file to checked records: contract, import, hooks, records."""
