"""What every stage uses: errors, files, paths, scratch folders, processes, progress, threads."""
