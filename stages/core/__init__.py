"""What every stage uses: errors, files, parameters, paths, randomness."""
