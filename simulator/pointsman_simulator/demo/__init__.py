"""`pointsman-sim demo`: the example fleet compiled, the real agent on loopback, stations and supervisions round it.

`overlay` (what is changed in a copy of the fleet) → `plan` (what the bundle says must happen) → `stage` (processes,
supervisions, stations) → `verdict` (what did happen, held against the plan). Nothing is expected by name: every
expectation is read from the compiled bundle.
"""
