-- Built while the bank is open: no transaction can hold these statements.
CREATE INDEX CONCURRENTLY pgbench_history_aid ON pgbench_history (aid);
CREATE INDEX CONCURRENTLY account_owners_customer ON account_owners (customer_id);
