"""Signing jobs: which signature is due, ZSKs, the KSK through the KMS."""
