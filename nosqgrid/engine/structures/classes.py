"""Which class stands for a structure of each type, for whoever reads them back."""

CLASSES = {}
