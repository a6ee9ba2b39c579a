"""What is wrong with a release: facts of its files, rules over them, and the audit that applies both."""
