"""Organisations, regions, tokens and the audit chain."""
