"""The contract of a method, and how methods are trained, stored, loaded and scored."""
