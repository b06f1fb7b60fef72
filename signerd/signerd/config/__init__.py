"""The option models; loading, checking, explaining."""
