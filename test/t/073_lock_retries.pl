# A statement that cannot have its lock: it is tried again under a short timeout, the
# history names who was in the way, the application's queue moves on between tries.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(sleep time);

use Upg::Server;

my $server = Upg::Server->new('fsync=off', 'deadlock_timeout=3s', 'log_lock_waits=off');
$server->sql(<<'SQL');
CREATE EXTENSION upg;
CREATE TABLE account (id int PRIMARY KEY, balance int);
INSERT INTO account VALUES (1, 100);
CREATE TABLE other (id int);
CREATE ROLE teller LOGIN;
GRANT SELECT, UPDATE ON account, other TO teller;
SQL

sub holder
{
    my ($seconds) = @_;
    local $ENV{PGUSER} = 'teller';
    my $pid = $server->background("BEGIN;\nUPDATE account SET balance = balance + 0;\nSELECT pg_sleep($seconds) /* teller's query */;\nCOMMIT;", 'cash desk');
    $server->wait_for(q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'cash desk' AND wait_event = 'PgSleep')}, 20)
      or die 'the holder did not come';
    return $pid;
}

# It gets its lock when the holder ends.
my $holder = holder(1.5);
is($server->sql(q{SELECT state FROM upg_apply('patient', E'SELECT 1;\nALTER TABLE account ADD a int', options => '{"lock_timeout": "200ms", "lock_retries": 20}')}),
    'applied', 'a blocked ALTER TABLE is tried again until it can have its lock');
$server->reap($holder);
my $waits = q{FROM upg_history('patient'), jsonb_array_elements(lock_waits) WITH ORDINALITY AS w (wait, n)};
cmp_ok($server->sql("SELECT count(*) $waits"), '>=', 2, 'the history has every wait');
is($server->sql("SELECT bool_and((wait->>'try')::int = n AND (wait->>'statement')::int = 2) $waits"), 't', '... numbered, with the statement');
is($server->sql("SELECT bool_and((wait->>'waited_ms')::int BETWEEN 150 AND 1000) $waits"), 't', '... and how long it was');
is($server->sql("SELECT b->>'user', b->>'application', b->>'relation', b->>'query' LIKE '%teller''s query%', (b->>'pid')::int > 0,"
      . " (b->>'since')::timestamptz BETWEEN now() - interval '1 min' AND now() FROM upg_history('patient'), jsonb_path_query(lock_waits, '\$[0].blockers[0]') b"),
    'teller|cash desk|account|t|t|t', '... and who was in the way: user, program, table, query, process, since when');

# Between the tries the application goes on: nobody waits longer than one try.
$holder = holder(3);
my $client = do
{
    local $ENV{PGUSER} = 'teller';
    $server->background(<<'SQL');
DO $$
DECLARE
    began timestamptz;
BEGIN
    PERFORM pg_sleep(0.3);
    FOR n IN 1 .. 20 LOOP
        began := clock_timestamp();
        PERFORM count(*) FROM account;
        RAISE NOTICE 'waited % ms', round(1000 * extract(epoch FROM clock_timestamp() - began));
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SQL
};
my $began = time;
my $error = $server->error("\\set VERBOSITY verbose\n" . q{SELECT upg_apply('bounded', 'ALTER TABLE account ADD b int', options => '{"lock_timeout": "200ms", "lock_retries": 4}');});
my $took = time - $began;
like($error, qr/ERROR:  UP015: could not lock what the statement needs after 5 tries/, 'the tries are bounded');
like($error, qr/DETAIL:  account is locked by .*teller/, '... the error names the blocker');
like($error, qr/HINT:  Try again when the blocker has ended/, '... and what to do');
cmp_ok($took, '<', 6, '... and end in time');
my ($status, $out, $notices) = $server->reap($client);
my @waited = $notices =~ /waited (\d+) ms/g;
is(scalar @waited, 20, 'the application could work all the while');
my ($longest) = sort { $b <=> $a } @waited;
cmp_ok($longest, '<', 450, "... and no query waited longer than a try ($longest ms)");
is($server->sql(q{SELECT state, sqlstate, statement, jsonb_array_length(lock_waits) FROM upg_history('bounded')}),
    'failed|UP015|ALTER TABLE account ADD b int|5', 'the failure is in the history with its five waits');
$server->reap($holder);

# The same in a worker.
$holder = holder(30);
$server->sql(q{SELECT upg_apply('stepwise', 'VACUUM other; ALTER TABLE account ADD c int', options => '{"lock_timeout": "100ms", "lock_retries": 1}')});
ok($server->wait_for(q{SELECT state = 'partial' FROM upg_migration_state('stepwise')}, 20), 'in a worker the tries are bounded, too');
is($server->sql(q{SELECT sqlstate, step, jsonb_array_length(lock_waits) FROM upg_history('stepwise') WHERE state = 'failed'}), 'UP015|2|2', '... and in the history');
kill 'TERM', $holder;
$server->sql(q{SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'cash desk'});
$server->reap($holder);
$server->sql(q{SELECT upg_apply('stepwise')});
$server->sql(q{CALL upg_wait('stepwise', '20 s')});
is($server->sql(q{SELECT state FROM upg_migration_state('stepwise')}), 'applied', '... and it goes on when the holder has gone');

# Each has what the other wants: seen after the first try that fails, long before the
# server's detector looks; we give up everything with the error.
my $app = $server->background(<<'SQL', 'crossing');
BEGIN;
UPDATE account SET balance = balance + 1;
SELECT pg_sleep(1);
UPDATE other SET id = id + 1;
COMMIT;
SQL
$server->wait_for(q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'crossing' AND wait_event = 'PgSleep')}, 20);
$error = $server->error("\\set VERBOSITY verbose\n" . q{SELECT upg_apply('crossing', 'ALTER TABLE other ADD d int; ALTER TABLE account ADD d int', options => '{"lock_timeout": "200ms", "lock_retries": 20}');});
($status, $out, $notices) = $server->reap($app);
is($notices, '', 'a deadlock: the application does not lose');
is($status, 0, '... its transaction commits');
like($error, qr/ERROR:  UP015: .*because its holder waits for this migration/, '... the migration gives way');
like($error, qr/DETAIL:  account is locked by .*crossing.*Process \d+ waits for a lock that an earlier statement took/, '... and says why');
is($server->sql(q{SELECT count(*) FROM pg_attribute WHERE attname = 'd' AND attrelid IN ('account'::regclass, 'other'::regclass)}), 0, '... and nothing of it is there');
is($server->sql(q{SELECT state FROM upg_apply('crossing', 'ALTER TABLE other ADD d int; ALTER TABLE account ADD d int')}), 'applied', '... the next try succeeds');
is($server->sql('SELECT ok, reason FROM upg_audit_verify()'), 't|', 'the audit trail is whole');
done_testing();
