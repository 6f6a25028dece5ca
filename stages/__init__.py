"""The stages of the pipeline (verbs) and the things that they work with (nouns)."""
