"""Guards that are broken on purpose, one patch each, and the named test that must then fail: `make mutants`."""
