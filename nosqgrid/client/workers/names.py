"""Functions by their names: "module:qualname" is what travels, never code."""

import importlib
import os
import sys

from ...errors import UsageError


def name_of(function):
    """The name by which another process finds a function; UsageError for one that has none.

    A function of the program that was started (`__main__`) has the name of its module: the one behind -m, or that of
    its file, which a worker imports as spawned processes of multiprocessing do.

    >>> name_of(os.path.join)
    'posixpath:join'
    """
    qualname, module = getattr(function, "__qualname__", None), getattr(function, "__module__", None)
    owner = getattr(function, "__self__", None)
    if module is None and qualname is not None and type(function).__name__ == "method_descriptor":
        module = function.__objclass__.__module__
    if owner is not None and not isinstance(owner, (type, type(sys))) or not callable(function):
        raise UsageError("%r belongs to an object that would have to travel with it: pass a function of a module, and "
                         "what it needs as arguments" % (function,))
    if not qualname or not module:
        raise UsageError("%r has no name by which a worker could find it: pass a function that stands in a module"
                         % (function,))
    if "<" in qualname:
        raise UsageError("%s of %s is a %s: a worker finds a function by its name alone, so put it at the top of a "
                         "module" % (qualname, module, "lambda" if "<lambda>" in qualname else "local function"))
    return "%s:%s" % (_module_name(module, qualname), qualname)


def _module_name(module, qualname):
    if module not in ("__main__", "__mp_main__"):
        return module
    main = sys.modules[module]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return spec.name
    path = getattr(main, "__file__", None)
    if not path:
        raise UsageError("%s was defined at a prompt, where no worker finds it: put it into a file" % qualname)
    return os.path.splitext(os.path.basename(path))[0]


def find(name):
    """The function of a name; UsageError says what of it is not there."""
    module_name, colon, qualname = name.partition(":")
    if not colon or not module_name or not qualname:
        raise UsageError("%.100r is no name of a function: module:name" % name)
    try:
        found = importlib.import_module(module_name)
    except ImportError as error:
        raise UsageError("cannot import %s: %s" % (module_name, error)) from error
    for part in qualname.split("."):
        if not hasattr(found, part):
            raise UsageError("module %s has no %s" % (module_name, qualname))
        found = getattr(found, part)
    if not callable(found):
        raise UsageError("%s is a %s, no function" % (name, type(found).__name__))
    return found
