"""Depth from one image (and, later, from stereo and focus): the task, its metrics, baselines and methods."""
