"""Zones and records that are kept in the database and changed over the API; no HTTP in here."""
