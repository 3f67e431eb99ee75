CREATE MATERIALIZED VIEW branch_totals AS
SELECT bid, count(*) AS accounts, sum(abalance) AS balance
FROM pgbench_accounts GROUP BY bid;
CREATE UNIQUE INDEX branch_totals_bid ON branch_totals (bid);
