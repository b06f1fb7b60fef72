"""Core: accepts or rejects a signed zone, sharing no code with the signer."""
