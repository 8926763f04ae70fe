"""What the suites of all kinds share: subjects, running checks, the pytest class, and checks of any record."""
