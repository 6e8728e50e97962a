"""A rollout on one machine, of real parts: web server, metrics store, alerts, agents and stations.

servers   nginx, VictoriaMetrics and vmalert, as Debian has them, on loopback ports of their own
story     a change that is good, one that is bad, its halt and its fix, while stations charge all the while
crowd     thousands of light controllers: a TUF client and a report each
"""
