"""Submissions, scoring and pages of the EarthReason leaderboard. Depends on `earthreason`; not part of the wheel."""
