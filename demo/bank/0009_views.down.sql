DROP VIEW account_statement;
DROP VIEW customer_balance;
