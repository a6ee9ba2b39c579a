"""All ideas on the same data, budget and judge."""
