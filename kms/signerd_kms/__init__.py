"""Keys and their use. Knows no DNS, no HTTP, no tenants' rights."""
