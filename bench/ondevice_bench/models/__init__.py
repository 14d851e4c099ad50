"""Networks, one file for each family: `construct` builds, `initialise` fills the weights."""
