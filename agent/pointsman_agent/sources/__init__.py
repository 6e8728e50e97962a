"""Where bundles come from: each source offers what it finds to the activation, which alone decides."""
