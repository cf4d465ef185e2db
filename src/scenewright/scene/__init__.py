"""The Scene folder: what a reconstruction leaves behind, and what every later job reads.

`manifest` (scene.json) needs no torch; `scene.Scene` opens, creates and fills a folder; `records` are what it holds.
"""
