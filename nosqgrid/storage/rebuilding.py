"""Structures out of the changes that files have of them, for tools: to show them, and to save what still fits."""

from ..engine.structures.classes import CLASSES
from ..errors import CorruptFileError, CorruptValueError
from ..formats import words
from ..formats.values import STRUCTURE_NAMES


def check_changes(value_type, value):
    """Raise CorruptFileError where the value of a structure is not whole lists of words."""
    try:
        for _ in words.ends(value):
            continue
    except CorruptValueError as error:
        raise _senseless(value_type, error) from error


def rebuild(value_type, value):
    """The structure that packed changes, one behind the other, make.  Raises CorruptFileError."""
    structure = CLASSES[value_type]()
    try:
        for change in words.unpack_all(bytes(value)):
            structure.apply(change)
    except CorruptValueError as error:
        raise _senseless(value_type, error) from error
    return structure


def rebuild_what_fits(value_type, value):
    """(structure, how many changes were left out): as rebuild(), without those that do not fit what is there by then.

    What is no words ends it, and counts as one.
    """
    structure, left_out, position, value = CLASSES[value_type](), 0, 0, bytes(value)
    while position < len(value):
        try:
            change, position = words.unpack(value, position)
        except CorruptValueError:
            return structure, left_out + 1
        try:
            structure.apply(change)
        except CorruptValueError:
            left_out += 1
    return structure, left_out


def _senseless(value_type, error):
    return CorruptFileError("a %s that makes no sense: %s" % (STRUCTURE_NAMES[value_type], error))
