"""Search: https://hl7.org/fhir/R4/search.html.

A resource becomes search keys (`extract`), a query string becomes a Query (`parse`), and a Query becomes a
MongoDB filter (`compile`). docs/decisions/0004-search-keys.md says how the keys look and why.
"""
