"""The HDF5 stores, and what is derived from them: splits, sizes, provenance."""
