"""The lint of the snippets, and which of their lines the tests reached."""
