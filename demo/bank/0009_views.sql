CREATE VIEW customer_balance AS
SELECT o.customer_id, count(*) AS accounts, sum(a.abalance) AS balance
FROM account_owners o JOIN pgbench_accounts a USING (aid)
GROUP BY o.customer_id;

CREATE VIEW account_statement AS
SELECT h.aid, h.mtime AS booked_at, h.delta AS amount, t.tid AS teller, h.bid AS branch
FROM pgbench_history h JOIN pgbench_tellers t USING (tid);
