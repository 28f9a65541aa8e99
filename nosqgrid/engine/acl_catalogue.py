"""The commands that rules about users speak of: by name, with their subcommands, and in Redis' categories."""

CATEGORIES = ("keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub admin fast slow "
              "blocking dangerous connection transaction scripting").split()

# What follows this name is no subcommand to Redis but an argument, of which single ones can be allowed.
WITHOUT_SUBCOMMANDS = frozenset((b"DEBUG",))


class Catalogue(object):
    """All commands there are: [(name, categories)], a subcommand as b"config|get", all in lower case."""

    def __init__(self, commands):
        self.names = [name for name, _ in commands]
        self.all = frozenset(self.names)
        self.with_subcommands = {}  # name -> (name, its subcommands ...)
        self.by_category = {category: [] for category in CATEGORIES}
        for name, categories in commands:
            container, _, sub_name = name.partition(b"|")
            self.with_subcommands.setdefault(name, (name,))
            if sub_name:
                self.with_subcommands[container] = self.with_subcommands.get(container, (container,)) + (name,)
            for category in categories:
                self.by_category[category].append(name)

    def has_subcommands(self, name):
        return len(self.with_subcommands[name]) > 1


def name_of(row):
    """The name of a command in a Catalogue."""
    container = row.name.partition(b"|")[0]
    return (container if container in WITHOUT_SUBCOMMANDS else row.name).lower()
