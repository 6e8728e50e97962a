"""The contract between the two wings: JSON Schemas of the site files, the bundle and its signed envelope.

Nothing here reads or writes anything but this package's own data.
"""
