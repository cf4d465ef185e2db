"""The command line: one thin module per command, no logic; torch is imported only by the commands that need it."""
