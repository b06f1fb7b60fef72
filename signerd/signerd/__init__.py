"""The daemon: an authoritative DNS server that signs what it serves."""
