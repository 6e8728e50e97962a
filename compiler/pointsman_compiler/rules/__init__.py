"""The rules of the site format that no JSON Schema can hold: one module a topic.

Each takes a layered site (and what was read for it) and yields problems, in any order. A value of the wrong shape is
skipped: the shape's own problem says what is wrong there.
"""
