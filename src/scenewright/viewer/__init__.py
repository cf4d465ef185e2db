"""The report: one self-contained page that shows a scene."""
