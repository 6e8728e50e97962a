"""What is kept in force on stations of local groups (rules 37, 39, 42): pure plans, one CALL at a time."""
