"""Core: canonical form, denial of existence, signatures, keys, DS. No I/O."""
