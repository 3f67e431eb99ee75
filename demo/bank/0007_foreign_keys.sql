-- NOT VALID: new rows are checked from now on, old ones in the next migration.
ALTER TABLE account_owners
    ADD CONSTRAINT account_owners_customer_fk
    FOREIGN KEY (customer_id) REFERENCES customers (id) NOT VALID;
ALTER TABLE account_owners
    ADD CONSTRAINT account_owners_account_fk
    FOREIGN KEY (aid) REFERENCES pgbench_accounts (aid) ON DELETE CASCADE NOT VALID;
ALTER TABLE pgbench_tellers
    ADD CONSTRAINT pgbench_tellers_branch_known CHECK (bid > 0) NOT VALID;
