-- Reads the tables under a lock that lets everybody go on writing.
ALTER TABLE account_owners VALIDATE CONSTRAINT account_owners_customer_fk;
ALTER TABLE account_owners VALIDATE CONSTRAINT account_owners_account_fk;
ALTER TABLE pgbench_tellers VALIDATE CONSTRAINT pgbench_tellers_branch_known;
