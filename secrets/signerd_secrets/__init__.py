"""Named secrets, encrypted by the KMS. Not built yet: see README.md in this source root."""
