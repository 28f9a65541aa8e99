"""What is to be said about commands of Redis 7.0: in what they differ here and why, and why some are not there.

Only words; whether a command is there is not said here but asked of the command table (cli/commands).  What holds for
all commands, such as the size of values, is in the introduction of docs/redis.md.
"""

_RANDOM = "a negative count chooses 1,000,000 times at most: one reply must not hold everybody up"
_UNTOLD = "elements of equal distance may come in another order, as nothing says which"
_FOLLOW = "only NO ONE: a grid follows no other server, its data come from its own directory"
_NO_LATENCY = "LATENCY answers as a Redis whose monitor is off; what takes long is in SLOWLOG"

# NAME, or NAME|SUBCOMMAND, of a command that is there -> in what it differs, and why.
NOTES = {
}

# NAME, or NAME|SUBCOMMAND, of a command that is not there -> why.
ABSENT = {
    "EVAL": "scripts come later",
    "EVAL_RO": "scripts come later",
    "EVALSHA": "scripts come later",
    "EVALSHA_RO": "scripts come later",
    "SCRIPT": "scripts come later",
    "FCALL": "functions are scripts, and come later",
    "FCALL_RO": "functions are scripts, and come later",
    "FUNCTION|DELETE": "functions are scripts, and come later",
    "FUNCTION|DUMP": "functions are scripts, and come later",
    "FUNCTION|KILL": "functions are scripts, and come later",
    "FUNCTION|LOAD": "functions are scripts, and come later",
    "FUNCTION|RESTORE": "functions are scripts, and come later",
    "FUNCTION|STATS": "functions are scripts, and come later",
    "MIGRATE": "it connects to another server; a script with DUMP and RESTORE does it, see above",
    "MODULE": "there are no modules: nothing is loaded into the coordinator",
    "PSYNC": "there are no replicas",
    "REPLCONF": "there are no replicas",
    "SYNC": "there are no replicas",
    "RESTORE-ASKING": "there is no cluster",
    "COMMAND|GETKEYSANDFLAGS": "it is not there yet; COMMAND GETKEYS is",
}
_ABSENT_OF_CLUSTERS = """ADDSLOTS ADDSLOTSRANGE BUMPEPOCH COUNT-FAILURE-REPORTS DELSLOTS DELSLOTSRANGE FAILOVER FLUSHSLOTS
FORGET MEET REPLICAS REPLICATE SAVECONFIG SET-CONFIG-EPOCH SETSLOT SLAVES"""
ABSENT.update(("CLUSTER|" + name, "there is no cluster") for name in _ABSENT_OF_CLUSTERS.split())
