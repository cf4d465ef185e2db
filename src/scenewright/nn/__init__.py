"""Layers and backbones that two or more methods share."""
