"""Which class stands for a structure of each type, for whoever reads them back."""

from ...formats import values
from .grants import Grants
from .hashes import Hash
from .jobs import Queue
from .lists import List
from .schedules import Schedules
from .sets import Set
from .streams import Stream
from .topics import Topic
from .zsets import SortedSet

CLASSES = {values.GRANTS: Grants, values.HASH: Hash, values.LIST: List, values.QUEUE: Queue,
           values.SCHEDULES: Schedules, values.SET: Set, values.STREAM: Stream, values.TOPIC: Topic,
           values.ZSET: SortedSet}
