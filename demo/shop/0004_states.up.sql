-- One state for all that is settled.
ALTER TABLE orders DROP CONSTRAINT orders_state_check;
UPDATE orders SET state = 'settled' WHERE state IN ('paid', 'sent');
ALTER TABLE orders ADD CONSTRAINT orders_state_check CHECK (state IN ('new', 'settled'));
