"""What `fhir-server doctor` looks at: the machine, and the database."""
