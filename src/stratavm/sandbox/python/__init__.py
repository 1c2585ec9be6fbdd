"""Python that nobody trusts, in interpreters that run inside of guests: runs, sessions, tools."""
