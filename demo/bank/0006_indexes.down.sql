DROP INDEX CONCURRENTLY account_owners_customer;
DROP INDEX CONCURRENTLY pgbench_history_aid;
