TRUNCATE account_owners;
TRUNCATE customers RESTART IDENTITY;
