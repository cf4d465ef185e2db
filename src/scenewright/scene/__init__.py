"""The Scene folder: what a reconstruction leaves behind, and what every later job reads."""
