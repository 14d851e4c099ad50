"""The measured process. Everything here may carry torch, and nothing of the parent."""
