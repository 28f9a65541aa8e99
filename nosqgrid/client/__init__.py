"""What a program uses: the grid, its near cache, batches, computed values, and the launcher of a coordinator."""
