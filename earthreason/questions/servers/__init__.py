"""Model servers: requests, what each server refuses, faults, rates, prices and replies."""
