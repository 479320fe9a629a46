"""What `fhir-server doctor` looks at: the machine, sign-in, and the database."""
