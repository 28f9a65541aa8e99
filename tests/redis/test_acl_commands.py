"""AUTH, HELLO and ACL: who is let in and what users may do, with Redis' replies and texts."""

import hashlib
import re
import unittest

from nosqgrid.engine import commands
from nosqgrid.engine.acl_catalogue import CATEGORIES, Catalogue
from nosqgrid.engine.acl_rules import Selector
from nosqgrid.engine.commands import key_flags
from nosqgrid.formats import resp
from tests.support.command_context import CommandTest, PlainContext, bulk
from tests.support.differential import SERVER, RealServer
from tests.support.engine_context import EngineContext

OK = b"+OK\r\n"
WRONGPASS = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
NOAUTH = b"-NOAUTH Authentication required.\r\n"
NO_KEY = b"-NOPERM this user has no permissions to access one of the keys used as arguments\r\n"
NO_CHANNEL = b"-NOPERM this user has no permissions to access one of the channels used as arguments\r\n"
SECRET_HASH = hashlib.sha256(b"secret").hexdigest().encode()


def no_command(name):
    return b"-NOPERM this user has no permissions to run the '%b' command\r\n" % name


def refused(rule, reason):
    return ("-ERR Error in ACL SETUSER modifier '%s': %s\r\n" % (rule, reason)).encode()


class AclTest(CommandTest):

    def setUp(self):
        self.context = EngineContext()
        self.keyspace = self.context.keyspace
        self.other = PlainContext(other=self.context)

    def as_user(self, *rules):
        """A context that has logged in as a user with these rules, new or changed."""
        self.assertEqual(self.context.call("ACL", "SETUSER", "u", "on", ">pw", *rules), OK)
        context = PlainContext(other=self.context)
        self.assertEqual(context.call("AUTH", "u", "pw"), OK)
        return context

    def lines(self):
        return self.context.run([b"ACL", b"LIST"])


class LoginTest(AclTest):

    def test_without_a_password_everybody_is_let_in(self):
        self.run_table([
            ("AUTH x", b"-ERR AUTH <password> called without any password configured for the default user. Are you sure"
             b" your configuration is correct?\r\n"),
            ("AUTH default anything", OK), ("AUTH nobody x", WRONGPASS), ("AUTH a b c", b"-ERR syntax error\r\n"),
            ("AUTH", b"-ERR wrong number of arguments for 'auth' command\r\n"), ("ACL WHOAMI", bulk(b"default")),
        ])
        self.assertFalse(self.context.session.special)

    def test_a_password_is_asked_of_who_comes_from_then_on(self):
        self.assertEqual(self.context.call("CONFIG", "SET", "requirepass", "secret"), OK)
        self.assertEqual(self.context.call("CONFIG", "GET", "requirepass"), b"*2\r\n" + bulk(b"requirepass")
                         + bulk(b"secret"))
        self.assertEqual(self.lines(), [b"user default on #%b ~* &* +@all" % SECRET_HASH])
        self.assertEqual(self.context.call("PING"), b"+PONG\r\n")  # is in already
        new = PlainContext(other=self.context)
        hello = (b"-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> "
                 b"<pass> option can be used to authenticate the client and select the RESP protocol version at the "
                 b"same time\r\n")
        for line, reply in (
                ("PING", NOAUTH), ("GET k", NOAUTH), ("ACL WHOAMI", NOAUTH), ("MULTI", NOAUTH), ("EXEC", NOAUTH),
                ("nosuch", b"-ERR unknown command 'nosuch', with args beginning with: \r\n"),
                ("GET", b"-ERR wrong number of arguments for 'get' command\r\n"), ("HELLO", hello), ("HELLO 3", hello),
                ("HELLO 3 AUTH default wrong", WRONGPASS), ("AUTH wrong", WRONGPASS), ("AUTH default wrong", WRONGPASS),
                ("AUTH nobody secret", WRONGPASS), ("PING", NOAUTH), ("AUTH secret", OK), ("PING", b"+PONG\r\n"),
                ("RESET", b"+RESET\r\n"), ("PING", NOAUTH), ("AUTH default secret", OK), ("PING", b"+PONG\r\n"),
                ("AUTH wrong", WRONGPASS), ("PING", b"+PONG\r\n"), ("QUIT", OK)):
            self.assertEqual(new.call(*line.split()), reply, line)
        self.assertFalse(new.session.special)  # costs nothing from now on
        self.assertTrue(PlainContext(other=self.context).call("HELLO", "3", "AUTH", "default", "secret", "SETNAME",
                                                              "n").startswith(b"%7\r\n"))
        self.assertEqual(self.context.call("CONFIG", "SET", "requirepass", ""), OK)
        self.assertEqual(PlainContext(other=self.context).call("PING"), b"+PONG\r\n")
        self.assertEqual(self.lines(), [b"user default on nopass ~* &* +@all"])

    def test_hello_changes_nothing_where_the_password_is_wrong(self):
        self.assertEqual(self.context.call("HELLO", "3", "AUTH", "u", "x", "SETNAME", "n"), WRONGPASS)
        self.assertEqual((self.context.session.protocol, self.context.session.name), (2, b""))

    def test_a_user_has_to_be_on_and_to_know_one_of_the_passwords(self):
        for rules, password, reply in (
                ((), "", WRONGPASS), (("on",), "", WRONGPASS), (("on", ">a", ">b"), "a", OK),
                (("on", ">a", ">b"), "b", OK), (("on", ">a", ">b", "<a"), "a", WRONGPASS),
                ((">a", "off"), "a", WRONGPASS),
                (("on", "nopass"), "anything", OK), (("on", "nopass", ">a"), "b", WRONGPASS),
                (("on", "nopass", "resetpass"), "", WRONGPASS), (("on", "#" + SECRET_HASH.decode()), "secret", OK),
                (("on", ">secret", "!" + SECRET_HASH.decode()), "secret", WRONGPASS),
                (("on", ">a", "reset"), "a", WRONGPASS)):
            self.context.call("ACL", "DELUSER", "v")
            self.assertEqual(self.context.call("ACL", "SETUSER", "v", *rules), OK, rules)
            context = PlainContext(other=self.context)
            self.assertEqual(context.call("AUTH", "v", password), reply, rules)
            self.assertEqual(context.call("ACL", "WHOAMI") if reply == WRONGPASS else reply,
                             bulk(b"default") if reply == WRONGPASS else OK)

    def test_the_default_user_can_be_turned_off(self):
        admin = self.as_user("allkeys", "allchannels", "+@all")
        self.assertEqual(admin.call("ACL", "SETUSER", "default", "off"), OK)
        new = PlainContext(other=self.context)
        self.assertEqual(new.call("PING"), NOAUTH)
        self.assertEqual(new.call("AUTH", "default", "x"), WRONGPASS)
        self.assertEqual(new.call("AUTH", "u", "pw"), OK)
        self.assertEqual(new.call("PING"), b"+PONG\r\n")

    def test_clients_of_the_grid_are_known_without(self):
        self.context.call("CONFIG", "SET", "requirepass", "secret")
        self.context.call("ACL", "SETUSER", "default", "resetkeys", "-@all")
        new = PlainContext(other=self.context)
        self.assertEqual(new.call("NOSQGRID.SET", "k", "v", "1", "0", "-", "0"), b":1\r\n")
        self.assertEqual(new.call("SET", "k", "v"), NOAUTH)
        new.session.local = False
        self.assertEqual(new.call("NOSQGRID.GETV", "k"), NOAUTH)


class RulesTest(AclTest):

    def test_rules_that_are_refused_change_nothing(self):
        after_all = ("Adding a pattern after the * pattern (or the '%s' flag) is not valid and does not have any "
                     "effect. Try '%s' to start with an empty list of %s")
        unknown, syntax = "Unknown command or category name in ACL", "Syntax error"
        no_password = "The password you are trying to remove from the user does not exist"
        bad_hash = "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
        self.assertEqual(self.context.call("ACL", "SETUSER", "u", "on", "~k", "+get"), OK)
        before = self.lines()
        for rule, reason in (
                ("+nosuch", unknown), ("-nosuch", unknown), ("+@nosuch", unknown), ("+", unknown), ("-", unknown),
                ("+config|nosuch", unknown), ("-config|nosuch", unknown), ("-get|k", unknown), ("+get|a|b", unknown),
                ("+config|get|x", "Allowing first-arg of a subcommand is not supported"),
                ("+get|", syntax), ("+get|a b", syntax),
                ("foo", syntax), ("%", syntax), ("%~x", syntax), ("%X~x", syntax), ("%RR~x", syntax), (")", syntax),
                ("~a b", syntax), ("&a b", syntax), ("(on)", syntax), ("(>x)", syntax), ("(+nosuch)", unknown),
                ("(~a b)", syntax), ('(~"a)', syntax), ("<nopw", no_password), ("!" + "0" * 64, no_password),
                ("#00", bad_hash), ("!00", bad_hash), ("#" + "A" * 64, bad_hash)):
            self.assertEqual(self.context.call("ACL", "SETUSER", "u", "-get", "~other", rule), refused(rule, reason))
            self.assertEqual(self.lines(), before, rule)
        for first, rule, words in (("allkeys", "~x", ("allkeys", "resetkeys", "patterns")),
                                   ("~*", "%R~x", ("allkeys", "resetkeys", "patterns")),
                                   ("allchannels", "&x", ("allchannels", "resetchannels", "channels"))):
            self.assertEqual(self.context.call("ACL", "SETUSER", "u", first, rule), refused(rule, after_all % words))
        for words, shown in ((("(",), b"("), (("(~a", "+get"), b"(~a"), (("~x", "(+get", "on"), b"(+get")):
            self.assertEqual(self.context.call("ACL", "SETUSER", "u", *words),
                             b"-ERR Unmatched parenthesis in acl selector starting at '%b'.\r\n" % shown)
        for name in ("a b", "a\0b", "a\nb", ""):
            self.assertEqual(self.context.call("ACL", "SETUSER", name),
                             b"-ERR Usernames can't contain spaces or null characters\r\n")
        self.assertEqual(self.lines(), before)

    def test_users_in_words(self):
        for rules, described in (
                ((), b"off resetchannels -@all"), (("on", "nopass"), b"on nopass resetchannels -@all"),
                (("ON", "+GET", "-Set", "+CONFIG|GET"), b"on resetchannels -@all +get +config|get"),
                (("~x", "%R~y", "%W~z", "%RW~q", "%wr~r", "~x"), b"off ~x %R~y %W~z ~q ~r resetchannels -@all"),
                (("%R~x", "%W~x"), b"off ~x resetchannels -@all"), (("~x", "allkeys"), b"off ~* resetchannels -@all"),
                (("allkeys", "resetkeys", "~y"), b"off ~y resetchannels -@all"),
                (("&a", "&b", "&a"), b"off resetchannels &a &b -@all"), (("&a", "&*"), b"off &* -@all"),
                (("+get|x", "+get|y", "+get|x"), b"off resetchannels -@all +get|x +get|y"),
                (("+get|x", "-get"), b"off resetchannels -@all"),
                (("+@all", "-get", "+get"), b"off resetchannels +@all"),
                (("+@all", "-config|set"), b"off resetchannels +@all -config|set"),
                (("+@hash", "-@slow", "+hget"),
                 b"off resetchannels -@all +@hash -hgetall -hkeys -hvals -hrandfield -hscan"),
                (("+@all", "-@hash", "-@slow", "+hset"), b"off resetchannels +@all -@slow -@hash +hset"),
                (("+acl|list", "+acl"), b"off resetchannels -@all +acl"),
                (("+@admin", "-acl|list"), b"off resetchannels -@all +@admin -acl|list"),
                (("~a", "(~b +get)", "(", "%R~c", "&d", ")"),
                 b"off ~a resetchannels -@all (~b resetchannels -@all +get) (%R~c resetchannels &d -@all)"),
                (("(~b)", "clearselectors"), b"off resetchannels -@all"),
                (("on", "~x", "+get", "(+set)", "reset"), b"off sanitize-payload resetchannels -@all"),
                (("skip-sanitize-payload",), b"off skip-sanitize-payload resetchannels -@all"),
                (("(allkeys allchannels allcommands)",), b"off resetchannels -@all (~* &* +@all)")):
            self.context.call("ACL", "DELUSER", "v")
            self.assertEqual(self.context.call("ACL", "SETUSER", "v", *rules), OK, rules)
            self.assertEqual(self.lines()[1], b"user v " + described, rules)

    def test_getuser(self):
        self.context.call("ACL", "SETUSER", "v", "on", ">secret", "~k", "%R~r", "&c", "+get", "(~s +set)")
        self.assertEqual(self.context.call("ACL", "GETUSER", "v"), b"*12\r\n" + bulk(b"flags") + b"*1\r\n" + bulk(b"on")
                         + bulk(b"passwords") + b"*1\r\n" + bulk(SECRET_HASH) + bulk(b"commands")
                         + bulk(b"-@all +get") + bulk(b"keys") + bulk(b"~k %R~r") + bulk(b"channels") + bulk(b"&c")
                         + bulk(b"selectors") + b"*1\r\n*6\r\n" + bulk(b"commands") + bulk(b"-@all +set")
                         + bulk(b"keys") + bulk(b"~s") + bulk(b"channels") + bulk(b""))
        self.context.session.protocol = 3
        self.assertTrue(self.context.call("ACL", "GETUSER", "v").startswith(b"%6\r\n" + bulk(b"flags") + b"~1\r\n"))
        self.assertEqual(self.context.call("ACL", "GETUSER", "nobody"), b"_\r\n")

    def test_what_is_written_down_means_the_same_when_it_is_read(self):
        for rules in ((b"+@read", b"-@slow", b"+set"), (b"+@all", b"-@write", b"+incr", b"-get", b"+get|x"),
                      (b"+@slow", b"-acl|list"), (b"-@all", b"+config", b"-config|get"), (b"+@dangerous", b"-@admin"),
                      (b"+@all", b"-@all", b"+select|0", b"+select|1")):
            selector = Selector(commands.CATALOGUE)
            for rule in rules:
                selector.apply(rule)
            again = Selector(commands.CATALOGUE)
            for rule in selector.describe_commands().split():
                again.apply(rule)
            self.assertEqual((again.commands, again.first_arguments, again.new_commands),
                             (selector.commands, selector.first_arguments, selector.new_commands), rules)

    def test_users_come_and_go(self):
        for name in ("b", "a"):
            self.context.call("ACL", "SETUSER", name)
        self.run_table([
            ("ACL USERS", b"*3\r\n" + bulk(b"a") + bulk(b"b") + bulk(b"default")),
            ("ACL DELUSER a nobody a", b":1\r\n"),
            ("ACL DELUSER b default", b"-ERR The 'default' user cannot be removed\r\n"),
            ("ACL USERS", b"*2\r\n" + bulk(b"b") + bulk(b"default")),
            ("ACL DELUSER", b"-ERR wrong number of arguments for 'acl|deluser' command\r\n"),
            ("ACL SETUSER", b"-ERR wrong number of arguments for 'acl|setuser' command\r\n"),
            ("ACL nosuch", b"-ERR unknown subcommand 'nosuch'. Try ACL HELP.\r\n"),
            ("ACL", b"-ERR wrong number of arguments for 'acl' command\r\n"),
            ("ACL HELP x", b"-ERR wrong number of arguments for 'acl|help' command\r\n"),
        ])
        self.context.call("CONFIG", "SET", "acl-pubsub-default", "allchannels")
        self.context.call("ACL", "SETUSER", "b", "reset")
        self.context.call("ACL", "SETUSER", "c")
        self.assertEqual(self.lines(), [b"user b off sanitize-payload resetchannels -@all", b"user c off &* -@all",
                                        b"user default on nopass ~* &* +@all"])

    def test_files(self):
        acl = self.context.server.acl
        text = (b"# staff\n\nuser a on nopass ~x +get (~y +set)\r\n  user default on >secret ~* &* +@all\n")
        acl.replace(acl.parse(text, "/f"))
        self.assertEqual(self.lines(), [b"user a on nopass ~x resetchannels -@all +get (~y resetchannels -@all +set)",
                                        b"user default on #%b ~* &* +@all" % SECRET_HASH])
        self.assertEqual(acl.parse(acl.text(), "/f")["a"].describe(), self.lines()[0])
        with self.assertRaisesRegex(Exception, "^/f:1: line should start with user keyword. /f:2: Unknown command or "
                                    "category name in ACL. /f:4: WARNING: duplicate user 'b' found. WARNING: ACL "
                                    "errors detected, no change to the previously active ACL rules was performed$"):
            acl.parse(b"bogus\nuser a +nosuch\nuser b\nuser b\n", "/f")
        acl.replace({})
        self.assertEqual(self.lines(), [b"user default on nopass ~* &* +@all"])
        self.assertEqual((self.context.call("ACL", "SAVE"), self.context.call("ACL", "LOAD")), (OK, OK))
        self.assertEqual(self.context.server.asked, ["save_users", "load_users"])


class CheckTest(AclTest):

    def table(self, context, rows):
        for line, reply in rows:
            self.assertEqual(context.call(*line.split()), reply, line)

    def test_commands(self):
        self.table(self.as_user("allkeys", "+@all", "-@dangerous", "-config|set", "+config|get", "-get", "+get|a",
                                "+ping"), [
            ("SET a 1", OK), ("GET a", bulk(b"1")), ("GET b", no_command(b"get")), ("get A", b"$-1\r\n"),
            ("FLUSHALL", no_command(b"flushall")), ("CONFIG GET save", b"*2\r\n" + bulk(b"save") + bulk(b"")),
            ("CONFIG SET save x", no_command(b"config|set")), ("KEYS *", no_command(b"keys")),
            ("ACL WHOAMI", bulk(b"u")),
            ("ACL LIST", no_command(b"acl|list")), ("PUBLISH c x", NO_CHANNEL), ("AUTH u pw", OK),
            ("RESET", b"+RESET\r\n"),
            ("ACL WHOAMI", bulk(b"default"))])

    def test_keys_by_what_is_done_with_them(self):
        self.table(self.as_user("~a*", "%R~r*", "%W~w*", "+@all"), [
            ("GET a1", b"$-1\r\n"), ("GET x", NO_KEY), ("SET r1 x", NO_KEY), ("GET r1", b"$-1\r\n"), ("SET w1 v", OK),
            ("GET w1", NO_KEY), ("SET w1 v GET", NO_KEY), ("MGET a1 x", NO_KEY), ("MSET a1 v x v", NO_KEY),
            ("EXISTS a1", b":0\r\n"), ("EXISTS w1", b":1\r\n"), ("COPY r1 w1", b":0\r\n"), ("COPY w1 r1", NO_KEY),
            ("DEL w1", b":1\r\n"), ("DEL r1", NO_KEY), ("RENAME a1 r1", NO_KEY), ("GETDEL w1", NO_KEY),
            ("BITFIELD r1 GET u8 0", b"*1\r\n:0\r\n"), ("BITFIELD r1 SET u8 0 1", NO_KEY), ("KEYS *", b"*0\r\n"),
            ("XREAD STREAMS a1 x 0 0", NO_KEY), ("XREAD STREAMS a1 r1 0 0", b"*-1\r\n"), ("LMPOP 2 a1 r1 LEFT", NO_KEY),
            ("SUNIONSTORE w1 r1", b":0\r\n"), ("SUNIONSTORE r1 a1", NO_KEY), ("OBJECT ENCODING x", NO_KEY),
            ("NOSQGRID.SET r1 v 1 0 - 0", NO_KEY), ("NOSQGRID.GETV w1", NO_KEY), ("NOSQGRID.SCAN 0 10 x", NO_KEY),
            ("NOSQGRID.BATCH x", no_command(b"nosqgrid.batch")), ("NOSQGRID.ATTACH 1", no_command(b"nosqgrid.attach"))])

    def test_another_selector_may_allow_it(self):
        user = self.as_user("~a", "+get", "(~b +set)", "(&c +publish)", "(%R~* +sort)")
        self.table(user, [
            ("GET a", b"$-1\r\n"), ("SET b 1", OK), ("GET b", NO_KEY), ("SET a 1", NO_KEY),
            ("DEL a", no_command(b"del")),
            ("PUBLISH c x", b":0\r\n"), ("PUBLISH d x", NO_CHANNEL)])

    def test_channels(self):
        self.table(self.as_user("+@all", "&x*", "&y"), [
            ("SUBSCRIBE z", NO_CHANNEL), ("SUBSCRIBE x1 z", NO_CHANNEL), ("PSUBSCRIBE x1", NO_CHANNEL),
            ("PSUBSCRIBE *", NO_CHANNEL), ("SSUBSCRIBE z", NO_CHANNEL), ("SPUBLISH z 1", NO_CHANNEL),
            ("PUBLISH x1 1", b":0\r\n"), ("PSUBSCRIBE x*", b"*3\r\n" + bulk(b"psubscribe") + bulk(b"x*") + b":1\r\n"),
            ("SUBSCRIBE z", NO_CHANNEL), ("UNSUBSCRIBE z", b"*3\r\n" + bulk(b"unsubscribe") + bulk(b"z") + b":1\r\n")])

    def test_who_listens_to_what_he_may_not_any_more_has_to_go(self):
        one, two = self.as_user("+@all", "&x*"), self.as_user("resetchannels", "&x*", "&y", "+@all")
        one.call("PSUBSCRIBE", "x*")
        two.call("SUBSCRIBE", "y")
        self.context.call("ACL", "SETUSER", "u", "resetchannels", "&x*", "&z")
        self.assertEqual((one.session.closing, two.session.closing), (False, True))
        self.context.call("ACL", "DELUSER", "u")
        self.assertEqual((one.session.closing, self.context.session.closing), (True, False))
        self.assertEqual(one.session.account.name, "default")

    def test_a_change_is_felt_at_once_by_who_is_there(self):
        user = self.as_user("~*", "&*", "+@all")
        self.assertFalse(user.session.special)
        self.assertEqual(user.call("GET", "k"), b"$-1\r\n")
        self.context.call("ACL", "SETUSER", "u", "-get", "off")
        self.assertEqual(user.call("GET", "k"), no_command(b"get"))
        self.assertEqual(user.call("SET", "k", "v"), OK)  # off is for logging in
        self.context.call("ACL", "SETUSER", "u", "+@all")
        self.assertFalse(user.session.special)
        self.context.call("ACL", "SETUSER", "default", "resetkeys")
        self.assertEqual(self.other.call("GET", "k"), NO_KEY)

    def test_transactions(self):
        user = self.as_user("~a", "+@all")
        self.table(user, [("MULTI", OK), ("GET b", NO_KEY), ("EXEC", b"-EXECABORT Transaction discarded because of "
                                                             b"previous errors.\r\n"),
                          ("MULTI", OK), ("SET a 1", b"+QUEUED\r\n"), ("PING", b"+QUEUED\r\n"),
                          ("PUBLISH c x", NO_CHANNEL), ("DISCARD", OK),
                          ("MULTI", OK), ("SET a 1", b"+QUEUED\r\n"), ("INCR a", b"+QUEUED\r\n"),
                          ("PING", b"+QUEUED\r\n")])
        self.context.call("ACL", "SETUSER", "u", "resetkeys", "-incr")
        changed = (b"-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC "
                   b"call. This command is no longer allowed for the following reason: no permission to %b\r\n")
        self.assertEqual(user.call("EXEC"), b"*3\r\n" + changed % b"touch the specified keys"
                         + changed % b"execute the command or subcommand" + b"+PONG\r\n")
        self.assertEqual(self.context.call("EXISTS", "a"), b":0\r\n")
        (_, _, first), (_, _, second) = self.context.server.acl.denied(2)
        self.assertEqual((first.object, first.context, second.object), (b"incr", b"multi", b"a"))

    def test_sort_reads_other_keys_only_for_who_may_read_all(self):
        context = self.context
        context.run([b"RPUSH", b"a1", b"1"])
        context.run(b"ACL SETUSER v on nopass ~a* +sort +sort_ro +acl".split())
        context.run([b"AUTH", b"v", b""])
        denied = "%s option of SORT denied due to insufficient ACL permissions."
        for line, option in (("SORT a1 BY x*", "BY"), ("SORT a1 BY a*", "BY"), ("SORT a1 GET x*", "GET"),
                             ("SORT a1 GET #", "GET"), ("SORT_RO a1 BY x*", "BY")):
            with self.assertRaisesRegex(Exception, denied % option):
                context.run(line.encode().split())
        self.assertEqual(context.run(b"SORT a1 BY nosort".split()), [b"1"])
        context.server.acl.set_user("v", [b"(%R~* +sort)"])
        self.assertEqual(context.run(b"SORT a1 BY x* GET #".split()), [b"1"])

    def test_dryrun(self):
        self.as_user("~a", "%R~r", "&ch", "+@all", "-@dangerous")
        self.run_table([
            ("ACL DRYRUN u GET a", OK), ("ACL DRYRUN u HELLO 3", OK),
            ("ACL DRYRUN u GET x", bulk(b"This user has no permissions to access the 'x' key")),
            ("ACL DRYRUN u SET r x", bulk(b"This user has no permissions to access the 'r' key")),
            ("ACL DRYRUN u PUBLISH no x", bulk(b"This user has no permissions to access the 'no' channel")),
            ("ACL DRYRUN u FLUSHALL", bulk(b"This user has no permissions to run the 'flushall' command")),
            ("ACL DRYRUN u CONFIG GET x", bulk(b"This user has no permissions to run the 'config|get' command")),
            ("ACL DRYRUN u GET", b"-ERR wrong number of arguments for 'get' command\r\n"),
            ("ACL DRYRUN u ACL", b"-ERR wrong number of arguments for 'acl' command\r\n"),
            ("ACL DRYRUN nobody GET a", b"-ERR User 'nobody' not found\r\n"),
            ("ACL DRYRUN u nosuch a", b"-ERR Command 'nosuch' not found\r\n"),
            ("ACL DRYRUN u CONFIG nosuch", b"-ERR Command 'CONFIG' not found\r\n"),
            ("ACL DRYRUN u config|get x", b"-ERR Command 'config|get' not found\r\n"),
            ("ACL DRYRUN u", b"-ERR wrong number of arguments for 'acl|dryrun' command\r\n"), ("EXISTS r", b":0\r\n")])

    def test_who_listens_may_see_every_key_with_the_prefix(self):
        context = self.context
        context.run(b"ACL SETUSER v on nopass %R~app:* ~user:? ~one ~x[ab]* %W~w:* +listen.open +topic.publish".split())
        context.run([b"AUTH", b"v", b""])
        for prefix in (b"app:", b"app:1"):
            self.assertIn(b"@", context.run([b"LISTEN.OPEN", prefix]))
        for prefix in (b"", b"ap", b"user:", b"user:1", b"one", b"xa", b"x[ab]", b"w:"):
            with self.assertRaisesRegex(Exception, "permissions", msg=prefix):
                context.run([b"LISTEN.OPEN", prefix])
        self.assertEqual(context.run([b"TOPIC.PUBLISH", b"one", b"0", b"x"]), 1)
        for name in (b"two", b"app:1"):
            with self.assertRaisesRegex(Exception, "permissions", msg=name):
                context.run([b"TOPIC.PUBLISH", name, b"0", b"x"])

    def test_every_command_that_writes_needs_to_be_allowed_to(self):
        reads = Selector(commands.CATALOGUE)
        for rule in (b"+@all", b"%R~*", b"allchannels"):
            reads.apply(rule)
        for row in commands.TABLE.values():
            for each in [row] + list((row.subcommands or {}).values()):
                if "write" in each.flags and each.first_key and each.name not in (b"XREADGROUP", b"PFDEBUG"):
                    flags = key_flags.flags_of_keys(each, [b"x"] * 8, 1)[0] + key_flags.flags_of_keys(
                        each, [b"x"] * 8, 2)[1]
                    if each.name == b"BITFIELD":
                        flags = key_flags.flags_of_keys(each, [b"BITFIELD", b"k", b"SET"], 1)[0]
                    self.assertTrue({"insert", "update", "delete"} & set(flags) or each.name == b"PFCOUNT", each.name)


class AroundTest(AclTest):

    def test_categories(self):
        self.assertEqual(self.context.run([b"ACL", b"CAT"]), [name.encode() for name in CATEGORIES])
        self.assertEqual(set(self.context.run([b"ACL", b"CAT", b"Transaction"])),
                         {b"multi", b"exec", b"discard", b"watch", b"unwatch"})
        self.run_table([("ACL CAT nosuch", b"-ERR Unknown category 'nosuch'\r\n"),
                        ("ACL CAT @read", b"-ERR Unknown category '@read'\r\n"),
                        ("ACL CAT read x", b"-ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL "
                         b"HELP.\r\n")])

    def test_passwords_are_made(self):
        bits = (b"-ERR ACL GENPASS argument must be the number of bits for the output password, a positive number "
                b"up to 4096\r\n")
        for words, digits in (((), 64), (("1",), 1), (("5",), 2), (("32",), 8), (("4096",), 1024)):
            reply = self.context.run([b"ACL", b"GENPASS"] + [word.encode() for word in words])
            self.assertTrue(re.match(rb"[0-9a-f]{%d}$" % digits, reply), (words, reply))
        self.run_table([("ACL GENPASS 0", bits), ("ACL GENPASS 4097", bits), ("ACL GENPASS -1", bits),
                        ("ACL GENPASS x", b"-ERR value is not an integer or out of range\r\n"),
                        ("ACL GENPASS 1 2", b"-ERR unknown subcommand or wrong number of arguments for 'GENPASS'. "
                         b"Try ACL HELP.\r\n")])

    def test_what_was_denied_is_noted(self):
        user = self.as_user("~a", "+@all", "-flushall", "resetchannels")
        for words in (("GET", "x"), ("FLUSHALL",), ("PUBLISH", "c", "m"), ("AUTH", "w", "wrong"), ("GET", "x")):
            user.call(*words)
        self.keyspace.now_ms += 2500
        self.context.session.protocol = 3
        found = self.context.run([b"ACL", b"LOG"])
        self.assertEqual([[dict(entry)[name] for name in (b"count", b"reason", b"context", b"object", b"username")]
                          for entry in found],
                         [[2, b"key", b"toplevel", b"x", b"u"], [1, b"auth", b"toplevel", b"AUTH", b"w"],
                          [1, b"channel", b"toplevel", b"c", b"u"], [1, b"command", b"toplevel", b"flushall", b"u"]])
        self.assertEqual(dict(found[0])[b"age-seconds"], 2.5)
        self.assertIn(b"cmd=get user=u ", dict(found[0])[b"client-info"])
        self.assertEqual(len(self.context.run([b"ACL", b"LOG", b"1"])), 1)
        self.assertEqual(self.context.run([b"ACL", b"LOG", b"-1"]), [])
        self.keyspace.now_ms += 60000
        user.call("GET", "x")
        self.assertEqual(len(self.context.run([b"ACL", b"LOG"])), 5)  # that was too long ago to be the same
        self.context.call("CONFIG", "SET", "acllog-max-len", "2")
        self.assertEqual(len(self.context.run([b"ACL", b"LOG"])), 2)
        self.context.session.protocol = 2
        wrong = b"-ERR unknown subcommand or wrong number of arguments for 'LOG'. Try ACL HELP.\r\n"
        self.run_table([("ACL LOG x", b"-ERR value is not an integer or out of range\r\n"), ("ACL LOG 1 2", wrong),
                        ("ACL LOG RESET x", wrong), ("ACL LOG reset", OK), ("ACL LOG", b"*0\r\n")])

    def test_secrets_are_not_shown(self):
        self.context.call("CONFIG", "SET", "slowlog-log-slower-than", "0")
        self.other.call("MONITOR")
        for line in ("AUTH default geheim", "HELLO 2 AUTH default geheim SETNAME n", "ACL SETUSER v >geheim",
                     "CONFIG SET requirepass geheim", "CONFIG SET save x requirepass geheim", "AUTH geheim"):
            self.context.call(*line.split())
        shown = repr(self.context.run([b"SLOWLOG", b"GET", b"-1"])) + repr(self.context.pushed)
        self.assertNotIn("geheim", shown)
        self.assertIn("(redacted)", shown)
        self.assertIn("[b'HELLO', b'2', b'AUTH', b'(redacted)', b'(redacted)', b'SETNAME', b'n']", shown)

    def test_a_client_is_listed_with_its_user(self):
        user = self.as_user("~*", "&*", "+@all")
        self.assertIn(b" user=u ", user.call("CLIENT", "INFO"))
        self.assertEqual(self.context.call("CLIENT", "KILL", "USER", "u"), b":1\r\n")
        self.assertEqual(self.context.call("CLIENT", "KILL", "USER", "nobody"), b"-ERR No such user 'nobody'\r\n")


@unittest.skipUnless(SERVER, "redis-server is not installed")
class AgainstRedisTest(unittest.TestCase):

    def test_each_category_has_the_same_commands_as_far_as_both_have_them(self):
        server = RealServer()
        self.addCleanup(server.close)
        client = server.connect()
        self.addCleanup(client.close)

        def listed(*words):
            reader = resp.ReplyReader()
            reader.feed(client.call(*words))
            return set(reader.next())

        theirs = {name: listed("ACL", "CAT", name) for name in CATEGORIES}
        known = set().union(*theirs.values())
        for name in CATEGORIES:
            ours = set(commands.CATALOGUE.by_category[name])
            self.assertEqual(ours & known, theirs[name] & commands.CATALOGUE.all, name)


class CatalogueTest(unittest.TestCase):

    def test_what_is_not_in_it_is_denied(self):
        catalogue = Catalogue([(b"get", ["read"])])
        selector = Selector(catalogue)
        for rule in (b"+@all", b"~*", b"&*"):
            selector.apply(rule)
        self.assertTrue(selector.is_unlimited)
        self.assertIsNotNone(selector.denies(commands.TABLE[b"SET"], [b"SET", b"k", b"v"], [], []))


if __name__ == "__main__":
    unittest.main()
