"""One test module for each module of the package, and one for each instrument of the tests."""
