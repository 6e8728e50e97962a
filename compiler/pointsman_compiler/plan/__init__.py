"""Two sides of a fleet → what the change does, to which station. Pure.

A site is compared as compiled, never as written: comments, order and layers that come to the same change nothing. What
becomes of connections is said by `pointsman_schema.changes`, by which the controllers act too.

`siteplan` compares one site with the help of `differences` (values), `causes` (the lines that made them), `fates`
(stations), `downgrades`, `doors` and `hosts` (security) and `badgechanges`; `crossings` tells what goes from
site to site; `fleetplan` puts the sites together, with
`fleetfacts` (what is usual in this fleet), `risks` (labels) and `consent` (what a policy wants acknowledged).
`report/plan` shows it.
"""
