"""The strict YAML subset of site files: text → events → plain data and places. `document` is its only user.

It is read as YAML 1.2 JSON schema, and whatever another YAML reader could take for something else is refused with a
place and a remedy. Nothing in here recurses, so no input is too deep for it.
"""
