"""Samples, readers and writers: the only place where foreign formats and conventions are known."""
