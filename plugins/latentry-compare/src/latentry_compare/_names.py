"""What the files of a comparison are called, beside its pictures."""

PAGE, FIGURES, GRID = "report.html", "report.json", "grid.png"
