-- The value itself goes with its type, in 0004.
UPDATE pgbench_accounts SET status = 'active' WHERE status = 'frozen';
