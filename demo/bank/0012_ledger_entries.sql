-- Postings of each day in a partition of their own.
CREATE TABLE ledger_entries (
    aid        integer NOT NULL,
    amount     integer NOT NULL,
    booked_at  timestamp NOT NULL
) PARTITION BY RANGE (booked_at);
CREATE TABLE ledger_entries_rest PARTITION OF ledger_entries DEFAULT;
CREATE INDEX ledger_entries_aid ON ledger_entries (aid, booked_at);
INSERT INTO ledger_entries SELECT aid, delta, mtime FROM pgbench_history;
