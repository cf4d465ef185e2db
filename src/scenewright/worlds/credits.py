"""The terms of what worlds are made of, for the cards of weights that learn from them (ASSETS.md has more)."""

from __future__ import annotations

FURNITURE = (
    "furniture models: Sweet Home 3D libraries Scopia, KatorLegaz, BlendSwap-CC-BY (CC BY 3.0) and BlendSwap-CC-0 (CC0)"
)
PHOTOGRAPHS = "photographs: see ASSETS.md"
WORLD_LICENCES = (FURNITURE, PHOTOGRAPHS)
"""Of rendered worlds: a folder of shards does not tell whether furniture was mixed in, so it is always named."""
DRAWN_LICENCES = ("drawn shapes and points only: no outside material",)
