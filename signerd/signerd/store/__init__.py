"""The SQL engine and its migrations."""
