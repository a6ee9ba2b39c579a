"""The command line: one thin module per command or group of commands."""
