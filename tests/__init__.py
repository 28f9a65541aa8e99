"""The tests of nosqgrid: `python3 -m unittest` from the top of the repository runs them all."""
