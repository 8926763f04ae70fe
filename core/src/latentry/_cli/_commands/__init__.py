"""The commands, one file each; ``_app.COMMANDS`` names them."""
