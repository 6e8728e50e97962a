"""Speed, each figure as a ratio to a yardstick that was measured in the same run: `python -m benchmarks`."""
