"""DNSSEC of the zones of the API: turned on and off, which key, and what the parent says. No HTTP in here."""
