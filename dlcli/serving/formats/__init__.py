"""The formats of an export: each module writes one."""
