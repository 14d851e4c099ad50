"""Records to conclusions: summaries, data frames, comparisons."""
