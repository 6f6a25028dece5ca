"""How recordings get here: archives, downloads, copies on disk."""
