"""Load measurements of any FHIR R4 server on this machine: `python -m benchmarks --help`, docs/benchmarking.md."""
