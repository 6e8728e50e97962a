"""Stations and supervisions on real sockets: honest peers of the agent for demo, rehearsal, tests and benchmarks.

They share no code with the agent: framing, relay matching and schema checks are written a second time here, so that
an error on one side is not repeated on the other. `pointsman_simulator.demo` alone knows that an agent exists.
"""
