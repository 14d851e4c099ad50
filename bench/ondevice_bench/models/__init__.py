"""Networks, one file a family: `construct` builds the modules, `initialise` fills the weights."""
