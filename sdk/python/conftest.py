"""`pytest` in this folder runs the tests; the examples are run by the tests of the repository, which have a server."""

collect_ignore = ["examples"]
