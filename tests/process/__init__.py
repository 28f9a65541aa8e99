"""Several real processes, and what the kernel says to them: shared files, death, forking, start-up."""
