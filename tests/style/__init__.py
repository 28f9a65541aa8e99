"""What the sources must look like: layers, tidiness, and documents that tell the truth."""
