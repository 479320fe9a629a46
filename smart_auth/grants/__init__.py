"""The ways to get tokens, one file each: a GRANT_TYPE, and how its form becomes tokens."""

from smart_auth.grants import authorization_code, client_credentials, refresh_token

GRANTS = {one.GRANT_TYPE: one.issue for one in (authorization_code, refresh_token, client_credentials)}
