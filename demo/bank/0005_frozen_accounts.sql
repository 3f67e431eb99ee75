-- A new enum value, used in the same file: no single transaction can do that.
ALTER TYPE account_status ADD VALUE 'frozen' BEFORE 'closed';
UPDATE pgbench_accounts SET status = 'frozen' WHERE aid IN (7, 77, 777, 7777);
