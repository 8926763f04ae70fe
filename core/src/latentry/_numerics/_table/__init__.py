"""A plan as numbers: recorded once, then walked by runs, shown, written to a file and read again."""
