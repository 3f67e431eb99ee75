DROP TRIGGER overdraft ON pgbench_accounts;
DROP FUNCTION note_overdraft();
DROP TABLE overdraft_alerts;
