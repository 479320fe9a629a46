"""Operations of the authorization server, one file each: found by presence."""
