"""The SMART authorization server: grants, clients, launch, discovery, login pages, and tokens as Principals."""
