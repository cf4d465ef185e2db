"""Samples, readers and writers: the only place where foreign formats and conventions are known."""

from scenewright.data.assets import demo_clip_path, photos_path

__all__ = ["demo_clip_path", "photos_path"]
