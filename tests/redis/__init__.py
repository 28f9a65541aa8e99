"""What the grid answers as Redis does: commands of each family, and differences to a real server."""
