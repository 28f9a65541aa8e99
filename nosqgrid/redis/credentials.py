"""Where the user and the password come from."""


class CredentialProvider(object):
    """Asked at each connection."""

    def get_credentials(self):
        """(user, password), or (password,)."""
        raise NotImplementedError("a credential provider defines get_credentials")


class UsernamePasswordCredentialProvider(CredentialProvider):
    """A user and a password that stay the same."""

    def __init__(self, username=None, password=None):
        self.username = username or ""
        self.password = password or ""

    def get_credentials(self):
        if self.username:
            return self.username, self.password
        return (self.password,)
