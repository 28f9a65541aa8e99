"""What the server says about commands, settings and itself, compared with a real one."""

import unittest

from nosqgrid.engine import commands, setting_names
from nosqgrid.formats import resp
from tests.support.differential import DifferentialTest, encoded
from tests.support.engine_context import EngineContext

# Of no meaning to a grid, or not there yet.
KEYS_OF_CHANNELS = {b"ssubscribe", b"sunsubscribe", b"spublish"}  # Redis counts channels of shards among the keys
OURS = {b"client|no-touch", b"client|setinfo"}  # of later versions
# Settings that say something else here when nobody has set them.
OTHER_DEFAULTS = {"unixsocket", "dir", "daemonize", "enable-debug-command", "slowlog-log-slower-than",
                  "latency-tracking", "save", "port",
                  "pidfile", "sanitize-dump-payload", "bind", "proto-max-bulk-len"}
SAME = """config set foo bar|config set hz|config set hz 20 timeout|config set hz x|config set hz 20 hz 30
config set timeout -1|config set timeout 2147483648|config set databases 3|config set maxmemory x
config set maxmemory -1
config set activedefrag maybe
config set loglevel x|config set appendfsync never|config set save 900x
config set maxmemory-policy x|config set notify-keyspace-events Kq|config set notify-keyspace-events AKEmn
config get notify-keyspace-events|config set notify-keyspace-events g$lshzxetdKE|config get notify-keyspace-events
config set notify-keyspace-events ng|config get notify-keyspace-events|config set maxmemory 1gb|config get maxmemory
config set maxmemory 1G|config get maxmemory|config set maxmemory 0|config set slowlog-log-slower-than -5
config set slowlog-log-slower-than 1.5|config set list-max-ziplist-size 5|config get list-max-ziplist-size
config set hash-max-listpack-entries -1|config set proto-max-bulk-len 10|config set active-expire-effort 11
config set slave-read-only yes|config set lua-time-limit 5000|config get lua-time-limit|config get|config|config nosuch
config rewrite|config resetstat|config get nosuch|config set hz 10|config get hz|config set lfu-log-factor -1
slowlog get -2|slowlog get x|slowlog nosuch|slowlog reset|slowlog len|slowlog get 1 2 3|slowlog
latency latest|latency history x|latency reset|latency graph x|latency nosuch|latency|latency histogram x
memory usage none|memory usage|memory usage none samples x|memory usage none samples -1|memory usage none foo 1
memory purge|memory nosuch|debug object none|role|wait 0 0|wait x 0|wait 0 x|wait 0 -1|wait 0|lastsave x|save x
bgsave foo|bgsave schedule foo|replicaof no one|slaveof no one|replicaof a b|replicaof no|failover|failover abort
failover x|cluster info|cluster nosuch|cluster info x|cluster|cluster slots|readonly|readwrite|asking|asking x
function flush|function flush x|function list|function nosuch|shutdown foo|shutdown nosave save|shutdown abort
shutdown abort now|command count x|command info nosuch|command nosuch|command list x|command getkeys get a
command getkeys ping x|command getkeys mset a 1 b 2|command getkeys object encoding a|command getkeys memory usage a
command getkeys zunionstore d 2 a b|command getkeys eval|command getkeys get|command docs nosuch|info nosuch
object help x|scan -1 foo 1|scan -1|scan +0|scan -|scan x
pubsub channels a b|pubsub shardchannels a b|zincrby a nx b|zincrby a ch xx|zincrby a gt 5|zincrby a incr b
zincrby a foo b|time x|lolwut version x|select|swapdb 1|move a"""


class ServerDifferentialTest(DifferentialTest):
    def setUp(self):
        self.client = self.server.connect()
        self.addCleanup(self.client.close)

    def ask(self, *words):
        reader = resp.ReplyReader()
        reader.feed(self.client.call(*words))
        return reader.next()

    def rows(self):
        """{name: the ten fields} of all commands that a real server has."""
        found, rows = {}, list(self.ask(b"COMMAND"))
        while rows:
            row = rows.pop()
            found[row[0]] = row
            rows += row[9]
        return found

    def specs(self, reply):
        """Where keys stand, of a reply in RESP2: the flags in order, and without notes."""
        found = []
        for spec in reply:
            fields = dict(zip(spec[::2], spec[1::2]))
            found.append((sorted(map(str, fields[b"flags"])), fields[b"begin_search"], fields[b"find_keys"]))
        return found

    def test_commands_are_described_alike(self):
        real, compared = self.rows(), 0
        table = [row for name, row in commands.TABLE.items() if b"." not in name]
        rows = table + [sub for row in table for sub in (row.subcommands or {}).values()]
        for row in rows:
            name = row.name.lower()
            if name not in real:
                self.assertTrue(name in OURS or name.startswith(b"debug|"), name)
                continue
            (described,) = commands.dispatch(EngineContext(), [b"COMMAND", b"INFO", name])
            theirs = real[name]
            self.assertEqual(described[1], theirs[1], name)
            for index in (2, 6):  # flags, categories
                self.assertEqual(sorted(described[index]), sorted(map(str, theirs[index])), name)
            self.assertEqual(sorted(described[7]), sorted(tip.decode() for tip in theirs[7]), name)
            if name not in KEYS_OF_CHANNELS:
                self.assertEqual(described[3:6], theirs[3:6], name)
            reader = resp.ReplyReader()
            reader.feed(resp.encode_reply(described[8], 2))
            self.assertEqual(self.specs(reader.next()), self.specs(theirs[8]), name)
            compared += 1
        self.assertGreater(compared, 250)

    def documents(self, reply):
        """{name: {field: value}} of COMMAND DOCS in RESP2, subcommands included."""
        found = {}
        for name, fields in zip(reply[::2], reply[1::2]):
            found[name] = dict(zip(fields[::2], fields[1::2]))
            found.update(self.documents(found[name].pop(b"subcommands", ())))
        return found

    def test_commands_are_documented_alike(self):
        reader = resp.ReplyReader()
        reader.feed(EngineContext().call("COMMAND", "DOCS"))
        ours, theirs = self.documents(reader.next()), self.documents(self.ask(b"COMMAND", b"DOCS"))
        for name in set(ours) & set(theirs):
            self.assertEqual([ours[name].get(field) for field in (b"since", b"group")],
                             [theirs[name][field] for field in (b"since", b"group")], name)
            self.assertTrue(ours[name][b"summary"], name)
        self.assertGreater(len(set(ours) & set(theirs)), 250)

    def test_settings_have_the_same_names_and_defaults(self):
        words = self.ask(b"CONFIG", b"GET", b"*")
        theirs = {name.decode(): value.decode() for name, value in zip(words[::2], words[1::2])}
        ours = {name.decode(): value.decode()
                for name, value in EngineContext().run([b"CONFIG", b"GET", b"*"])}
        self.assertLessEqual(set(ours), set(theirs))
        self.assertEqual(set(theirs) - set(ours), set())
        different = {name for name in ours if ours[name] != theirs[name]}
        self.assertLessEqual(different - {"maxmemory"}, OTHER_DEFAULTS)
        self.assertEqual(set(setting_names.KNOWN) & set(setting_names.ALIASES), set())

    def test_what_is_said_is_the_same(self):
        context = EngineContext()
        for line in SAME.replace("\n", "|").split("|"):
            words = encoded(line.split(" "))
            with self.subTest(line=line):
                self.assertEqual(context.call(*words), self.client.call(*words))


if __name__ == "__main__":
    unittest.main()
