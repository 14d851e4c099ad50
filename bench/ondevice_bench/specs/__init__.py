"""Descriptions of methods and models without torch: names, options, implementations."""
