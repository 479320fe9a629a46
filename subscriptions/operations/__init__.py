"""Operations of subscriptions, one file each."""
