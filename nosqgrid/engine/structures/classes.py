"""Which class stands for a structure of each type, for whoever reads them back."""

from ...formats import values
from .streams import Stream

CLASSES = {values.STREAM: Stream}
