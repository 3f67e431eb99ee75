ALTER TABLE orders DROP CONSTRAINT orders_state_check;
UPDATE orders SET state = 'paid' WHERE state = 'settled';
ALTER TABLE orders ADD CONSTRAINT orders_state_check CHECK (state IN ('new', 'paid', 'sent'));
