"""All that speaks to AGB: the client port, HTTP, limits, keys and looks that are served together."""
