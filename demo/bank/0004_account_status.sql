CREATE TYPE account_status AS ENUM ('active', 'dormant', 'closed');
-- A constant default: no row is rewritten, however large the table.
ALTER TABLE pgbench_accounts
    ADD COLUMN status account_status NOT NULL DEFAULT 'active';
