"""Replies of commands about the server, its clients and its users as the objects that redis-py returns for them."""

import datetime

from .shapes import named, named_texts, ok, pairs, text

_CLIENT_NUMBERS = frozenset("id age idle db sub psub multi qbuf qbuf-free obl argv-mem oll omem tot-mem".split())
_DEBUG_NUMBERS = frozenset(("refcount", "serializedlength", "lru", "lru_seconds_idle"))


def moment(reply, **options):
    """A datetime of seconds since 1970."""
    return datetime.datetime.fromtimestamp(int(reply)) if reply else None


def clock(reply, **options):
    """(seconds, microseconds)."""
    return int(reply[0]), int(reply[1])


def pong(reply, **options):
    """Whether PING was answered with PONG."""
    return text(reply) == "PONG"


def info(reply, **options):
    """INFO as a dict: numbers as such, name=value lists as dicts, other lists as lists."""
    found = {}
    for line in text(reply).splitlines():
        if not line or line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if not colon:
            found.setdefault("__raw__", []).append(line)
            continue
        if name == "cmdstat_host":  # names of sites follow, with colons in them
            name, _, value = line.rpartition(":")
        if name == "module":
            found.setdefault("modules", []).append(_info_value(value))
        else:
            found[name] = _info_value(value)
    return found


def _info_value(value):
    if "=" in value:
        named_values = {}
        for item in filter(None, value.split(",")):
            name, equals, part = item.rpartition("=")
            named_values[name if equals else part] = _info_value(part) if equals else True
        return named_values
    if "," in value:
        return [_info_value(item) for item in value.split(",") if item]
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        return value


def clients(reply, **options):
    """CLIENT LIST as a list of dicts of str."""
    return [_fields(line.split(" ")) for line in text(reply).splitlines()]


def _fields(words):
    return dict(word.split("=", 1) for word in words)


def client(reply, **options):
    """CLIENT INFO as a dict, with numbers as such."""
    found = _fields(text(reply).split())
    return {name: int(value) if name in _CLIENT_NUMBERS else value for name, value in found.items()}


def killed(reply, **options):
    """How many, or whether it did."""
    return reply if isinstance(reply, int) else ok(reply)


def settings(reply, **options):
    """CONFIG GET as a dict of str."""
    return named_texts(reply)


def debug_object(reply, **options):
    """DEBUG OBJECT as a dict."""
    found = dict(word.split(":", 1) for word in ("type:" + text(reply)).split())
    return {name: int(value) if name in _DEBUG_NUMBERS else value for name, value in found.items()}


def memory(reply, **options):
    """MEMORY STATS as a dict."""
    return {name: named_texts(value) if name.startswith("db.") and isinstance(value, list) else value
            for name, value in named_texts(reply).items()}


def slow_log(reply, **options):
    """SLOWLOG GET as a list of dicts."""
    return [_slow_entry(entry) for entry in reply]


def _slow_entry(entry):
    found = {"id": entry[0], "start_time": int(entry[1]), "duration": int(entry[2])}
    rest = list(entry[3:])
    if not isinstance(rest[0], list):
        found["complexity"] = rest.pop(0)
    found["command"] = (" " if rest[0] and isinstance(rest[0][0], str) else b" ").join(rest[0])
    found["client_address"], found["client_name"] = rest[1], rest[2]
    return found


def commands(reply, **options):
    """COMMAND as a dict of dicts."""
    return _commands(reply, list)


def commands_resp3(reply, **options):
    """The same, with categories, and flags as a set."""
    return _commands(reply, set)


def _commands(reply, kind):
    found = {}
    for row in reply:
        entry = {"name": text(row[0]), "arity": int(row[1]), "flags": kind(text(flag) for flag in row[2]),
                 "first_key_pos": row[3], "last_key_pos": row[4], "step_count": row[5]}
        if kind is set:
            entry["acl_categories"] = row[6]
        if len(row) > 7:
            entry["tips"], entry["key_specifications"], entry["subcommands"] = row[7], row[8], row[9]
        found[entry["name"]] = entry
    return found


def subscribers(reply, **options):
    """Pairs of channel and count."""
    return list(zip(reply[::2], reply[1::2]))


def modules(reply, **options):
    """MODULE LIST as a list of dicts."""
    return [pairs(module) for module in reply]


def user(reply, **options):
    """ACL GETUSER as a dict."""
    if reply is None:
        return None
    found = named(reply)
    found["flags"] = [text(flag) for flag in found["flags"]]
    found["passwords"] = [text(password) for password in found["passwords"]]
    for name in ("keys", "channels"):
        if name in found:
            found[name] = _patterns(found[name])
    if "selectors" in found:
        found["selectors"] = [_selector(selector) for selector in found["selectors"]]
    rules = text(found["commands"]).split(" ")
    found["commands"] = [rule for rule in rules if "@" not in rule]
    found["categories"] = [rule for rule in rules if "@" in rule]
    found["enabled"] = "on" in found["flags"]
    return found


def _patterns(value):
    if isinstance(value, (bytes, str)):
        value = text(value).split(" ")
    return [] if value == [""] else value


def _selector(selector):
    return named_texts(selector) if isinstance(selector, dict) else [text(word) for word in selector]


def acl_log(reply, **options):
    """ACL LOG as a list of dicts; of a RESET, whether it did."""
    if reply is None or not isinstance(reply, list):
        return reply if reply is None else ok(reply)
    found = []
    for row in reply:
        entry = named_texts(row)
        entry["client-info"] = client(entry.get("client-info", ""))
        entry["age-seconds"] = float(entry["age-seconds"])
        found.append(entry)
    return found


def acl_log_resp3(reply, **options):
    """The same of maps, with what is in them as it is."""
    return [named_texts(row) for row in reply] if isinstance(reply, list) else ok(reply)


def cluster(reply, **options):
    """CLUSTER INFO as a dict of str."""
    return dict(line.split(":", 1) for line in text(reply).splitlines() if line)


def cluster_nodes(reply, **options):
    """CLUSTER NODES as a dict of address to dict."""
    lines = reply.splitlines() if isinstance(reply, (bytes, str)) else reply
    return dict(_node(text(line).split(" ")) for line in lines)


def _node(words):
    node = {"node_id": words[0], "flags": words[2], "master_id": words[3], "last_ping_sent": words[4],
            "last_pong_rcvd": words[5], "epoch": words[6], "slots": [], "migrations": [],
            "connected": words[7] == "connected"}
    for word in words[8:]:
        for arrow, state in (("->-", "migrating"), ("-<-", "importing")):
            if arrow in word:
                slot, _, other = word[1:-1].partition(arrow)
                node["migrations"].append({"slot": slot, "node_id": other, "state": state})
                break
        else:
            node["slots"].append(word.split("-"))
    return words[1].split("@")[0], node
