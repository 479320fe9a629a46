"""What `fhir-server load` is made of: files → entries → transactions, in several processes."""
