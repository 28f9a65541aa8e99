"""What a worker is asked for by a job: its kind says which function, its payload has the arguments.

    kind                        payload                                 what comes back
    name of a task              [args, kwargs], a value of the grid     the value that it returns
    call module:qualname        the same                                an outcome (client/workers/outcomes)
    map module:qualname         [args, args, ...]                       an outcome: the list of what came back
    sealed call|map ...         seal and payload                        the same
    nothing                     any value                               what the worker's own function returns

A seal is the HMAC of kind and payload under a secret that only an executor and the workers it started know: these run
what that executor has asked for, and nothing that somebody else puts into their queue.
"""

import hashlib
import hmac

from ...errors import CorruptValueError, PermissionRefusedError
from ...formats import values
from . import names

CALL, MAP, SEALED = b"call ", b"map ", b"sealed "
_SEAL_BYTES = 32


def context(raw_queue):
    """What payloads and results of a queue are bound to where they are signed (client/pickled), as for any job."""
    return b"queue:" + raw_queue


def seal(secret, kind, value_type, payload):
    """(kind, type, payload) with a seal."""
    kind = SEALED + kind
    inner = bytes((value_type,)) + payload
    return kind, values.BYTES, _mac(secret, kind, inner) + inner


def unseal(secret, kind, payload):
    """(kind, type, payload) without its seal.  Raises PermissionRefusedError for one that does not hold."""
    mac, inner = payload[:_SEAL_BYTES], payload[_SEAL_BYTES:]
    if not inner or secret is None or not hmac.compare_digest(mac, _mac(secret, kind, inner)):
        raise PermissionRefusedError("this call was sealed by another executor: its own workers alone run it")
    return kind[len(SEALED):], inner[0], inner[1:]


def _mac(secret, kind, inner):
    return hmac.new(secret, b"%d:%s%s" % (len(kind), kind, inner), hashlib.sha256).digest()


class Functions(object):
    """The functions that a worker runs.

    `tasks` are those of this process by name; `plain` is called with the payload of jobs without a kind; `modules` are
    the names of modules of which, and of whose submodules, calls may name functions, None for any; with a `secret` only
    sealed calls are run.
    """

    def __init__(self, codec, tasks, plain=None, modules=(), secret=None):
        self._codec = codec
        self._tasks = tasks
        self._plain = plain
        self._modules = modules
        self._secret = secret

    def prepared(self, raw_queue, kind, value_type, payload):
        """(function without arguments, whether an outcome is wanted, codec) for a job.

        Raises NosqgridError where there is no such function, or it may not be run.
        """
        sealed = kind.startswith(SEALED)
        if sealed:
            kind, value_type, payload = unseal(self._secret, kind, payload)
        elif self._secret is not None:
            raise PermissionRefusedError("these workers belong to an executor and run its calls alone")
        verb, name = (CALL, kind[len(CALL):]) if kind.startswith(CALL) else (
            (MAP, kind[len(MAP):]) if kind.startswith(MAP) else (b"", kind))
        if not verb:
            return self._task(context(raw_queue), kind, value_type, payload)
        function = self._named(name.decode("utf-8"), sealed)
        found = self._codec.decode(value_type, payload, context(raw_queue))
        if verb == MAP:
            _check(isinstance(found, list) and all(isinstance(each, (list, tuple)) for each in found), kind)
            return lambda: [function(*args) for args in found], True, self._codec
        args, kwargs = _arguments(found, kind)
        return lambda: function(*args, **kwargs), True, self._codec

    def _task(self, key, kind, value_type, payload):
        if not kind:
            if self._plain is None:
                raise CorruptValueError("the job says nothing about a function, and this worker has none for such jobs:"
                                        " name one behind the module, nosqgrid worker module:function")
            value = self._codec.decode(value_type, payload, key)
            return lambda: self._plain(value), False, self._codec
        task = self._tasks.get(kind.decode("utf-8"))
        if task is None:
            raise CorruptValueError("this worker has no task %s: it has %s; name the module of the task when you start "
                                    "the worker" % (kind.decode("utf-8"), ", ".join(sorted(self._tasks)) or "none"))
        args, kwargs = _arguments(task.codec.decode(value_type, payload, key), kind)
        return lambda: task.function(*args, **kwargs), False, task.codec

    def _named(self, name, sealed):
        module = name.partition(":")[0]
        if not sealed and self._modules is not None and not any(
                module == allowed or module.startswith(allowed + ".") for allowed in self._modules):
            raise PermissionRefusedError("this worker runs functions of %s, not of %s: name that module when you start "
                                         "the worker" % (", ".join(self._modules) or "no module", module))
        return names.find(name)


def _arguments(found, kind):
    _check(isinstance(found, list) and len(found) == 2 and isinstance(found[0], (list, tuple))
           and isinstance(found[1], dict), kind)
    return found


def _check(holds, kind):
    if not holds:
        raise CorruptValueError("the payload of a job %.100r is no list of arguments" % (kind,))
