"""Kinds of seals: what opens the root key. Each module is one kind; `SEALS.md` says which to use when."""
