"""The keyless process that answers queries over UDP and TCP."""
