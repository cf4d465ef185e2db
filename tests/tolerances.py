"""The one table of numerical tolerances, by dtype: (relative, absolute). An override in a test needs a comment."""

import torch

TOLERANCE: dict[torch.dtype, tuple[float, float]] = {
    torch.float64: (1e-9, 1e-9),
    torch.float32: (1e-4, 1e-5),
    torch.bfloat16: (2e-2, 1e-2),
}


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    """Assert equality within the tolerance of `actual`'s dtype."""
    rtol, atol = TOLERANCE[actual.dtype]
    torch.testing.assert_close(actual, expected.to(actual.dtype), rtol=rtol, atol=atol)
