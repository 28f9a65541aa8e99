"""Which class stands for a structure of each type, for whoever reads them back."""

from ...formats import values
from .hashes import Hash
from .lists import List
from .schedules import Schedules
from .sets import Set
from .streams import Stream
from .zsets import SortedSet

CLASSES = {values.HASH: Hash, values.LIST: List, values.SET: Set, values.STREAM: Stream, values.ZSET: SortedSet,
           values.SCHEDULES: Schedules}
