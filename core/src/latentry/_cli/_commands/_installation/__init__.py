"""Commands about what is installed here: plugins, settings, schemas, checks and the shell."""
