"""Bundles in force: how one takes over from another, what of it waits, and how it goes back by itself.

transition   two configurations → what becomes of each station. Pure.
probation    failures of uplinks → whether a bundle stays. Pure.
moves        what a waiting station did → whether it moves now. Pure.
walk         verify → stage → prepare → switch → retire, and back
switch       who goes when, and the switch itself
trial        the bundle that is on probation
movement     the task that moves stations to their new operators
refusals     what was not taken, and why
archive, history   bundles on disk, and what became of them
"""
