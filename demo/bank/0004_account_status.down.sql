ALTER TABLE pgbench_accounts DROP COLUMN status;
DROP TYPE account_status;
