"""Looking at what lies in the lake with fresh eyes: every rule over finished days, and a second source beside them."""
