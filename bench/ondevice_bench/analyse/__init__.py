"""From records to conclusions: summaries, data frames, comparisons."""
