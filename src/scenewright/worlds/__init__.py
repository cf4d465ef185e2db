"""Generators of synthetic scenes with exact ground truth, seeded."""
