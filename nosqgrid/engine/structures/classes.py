"""Which class stands for a structure of each type, for whoever reads them back."""

from ...formats import values
from .lists import List
from .zsets import SortedSet

CLASSES = {values.LIST: List, values.ZSET: SortedSet}
