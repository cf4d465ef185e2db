"""Methods composed into a user's job."""
