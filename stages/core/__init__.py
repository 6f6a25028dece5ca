"""What every stage uses: errors, command line, progress, files, parameters, paths, plug-ins, randomness, the grid."""
