"""Sound files, and the table of clips."""
