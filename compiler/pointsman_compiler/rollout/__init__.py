"""From a merged change to the whole fleet, in rings, with a brake.

Sites pull. What each is to have lies in a TUF repository (https://theupdateframework.github.io/specification/), static
files on any web server; nothing of ours runs in the middle. Three things stand apart:

    desired   what was published last for a site: the newest content that was merged
    offered   what the repository tells the site to take: the desired content, once it was the site's turn
    reported  what the site says it has, which comes back through a metrics store

`promotion` is the whole policy, and pure: (what is desired and offered, the rules, reports, the time) → what moves now,
and for every site why, or why not. Everything else carries its verdicts out.

rules        rollout.yaml as structs: who is in which ring, when nothing moves
ledger       what is desired and offered, and halts: the state of a rollout
health       what sites reported, and what that says of what they were offered
trials       what the reports say of a ring: whether it has failed, and what of it has proven itself
promotion    the policy
summary      where a change is and what it waits for, in ten lines
bundles      what is new in a folder of compiled bundles
reading      metadata, read and verified
signing      who signs what, and for how long it is believed
creation     a repository that offers nothing yet
repository   what is offered, signed anew and laid down (these four alone know tuf)
unsent       what readers have yet to get
publishing   what is unsent goes out by a command of the user's, metadata last
cleaning     which files nobody is led to any more
store        the query to the metrics store
"""
