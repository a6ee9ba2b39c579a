"""The EarthReason leaderboard: submissions, scoring and pages. Depends on `earthreason`; not part of the wheel."""
