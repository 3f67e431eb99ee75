DROP TABLE account_owners;
