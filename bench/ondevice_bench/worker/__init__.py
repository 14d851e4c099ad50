"""The measured process. Its modules may import torch, but nothing of the parent."""
