"""Keypoints, descriptors and matches."""
