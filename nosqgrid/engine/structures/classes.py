"""Which class stands for a structure of each type, for whoever reads them back."""

from ...formats import values
from .hashes import Hash
from .sets import Set

CLASSES = {
    values.HASH: Hash,
    values.SET: Set,
}
