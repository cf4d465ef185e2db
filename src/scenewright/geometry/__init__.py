"""Differentiable functions on tensors: cameras, motions, warps, homographies, plane sweep, volumes."""
