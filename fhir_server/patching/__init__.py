"""Two ways to say what changes in a resource: JSON Patch and FHIRPath Patch."""
