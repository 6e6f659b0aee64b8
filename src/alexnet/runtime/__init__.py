"""What every stage uses: errors, files, processes, progress, threads."""
