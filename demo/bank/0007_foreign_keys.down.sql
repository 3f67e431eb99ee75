-- Accounts before tellers, as the bank's own transactions take them: the other
-- way round the two could wait for each other.
ALTER TABLE account_owners DROP CONSTRAINT account_owners_account_fk;
ALTER TABLE account_owners DROP CONSTRAINT account_owners_customer_fk;
ALTER TABLE pgbench_tellers DROP CONSTRAINT pgbench_tellers_branch_known;
