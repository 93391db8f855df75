"""The benchmark suite: Daruma's own figures beside the floor of the same run. Read ratios, not absolutes."""
