"""A published history: static pages over the runs of many boards, suites and commits."""
