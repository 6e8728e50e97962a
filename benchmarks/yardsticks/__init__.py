"""What Pointsman is measured against: the least that does the same job with the usual library."""
