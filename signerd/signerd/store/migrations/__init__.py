"""Migrations of the database, run by signerd.store.migration."""
