"""Records of patients: who owns one, with whom it is shared, and how that ends. ig/input/fsh/record.fsh

Author and custodian own a DocumentReference; others see it by a sharing Consent: docs/workflows/records.md.
"""
