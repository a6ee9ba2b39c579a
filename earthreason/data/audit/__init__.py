"""Audit of a release: facts about its files, rules that judge them, and the audit that applies both."""
