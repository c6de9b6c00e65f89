"""Where pictures come from: photos, pairs that are drawn or read, downloads, held-out sets."""
