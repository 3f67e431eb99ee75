-- One customer holds ten accounts.  Two transactions, so that the first is safe
-- while the second runs.
BEGIN;
INSERT INTO customers (name, email)
SELECT 'Customer ' || n, 'customer' || n || '@example.org'
FROM generate_series(1, (SELECT max(aid) / 10 FROM pgbench_accounts)) AS n;
COMMIT;

BEGIN;
INSERT INTO account_owners (aid, customer_id)
SELECT aid, 1 + (aid - 1) / 10 FROM pgbench_accounts WHERE aid % 4 = 1;
COMMIT;
