"""Questions judged by people: one page, one SQLite file."""
