# What a cluster or a role may run out of: each ends in a clear error or a record of
# the statement, nothing is lost, and nothing hangs.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IPC::Run qw(run timeout);
use Test::More;

use Upg::Server;

my $server = Upg::Server->new('fsync=off', 'max_worker_processes=0', 'max_connections=8',
    'superuser_reserved_connections=0', 'autovacuum=off');
my $upg = $ENV{UPG_PROGRAM} // Upg::Server->top . '/cli/upg';
my $dir = $server->dir;
my ($status, $out, $err);

sub state_of { return $server->sql("SELECT state FROM upg_migration_state('$_[0]')") }
sub last_of
{
    my ($name, $columns) = @_;
    return $server->sql("SELECT $columns FROM upg_history('$name') WHERE statement_no IS NOT NULL AND state = 'failed' ORDER BY attempt_id DESC LIMIT 1");
}
sub ended
{
    my ($name) = @_;
    return ok($server->wait_for("SELECT state NOT IN ('queued', 'running') FROM upg_migration_state('$name')", 20), "$name comes to an end");
}

$server->sql(<<'SQL');
CREATE EXTENSION upg;
CREATE TABLE big AS SELECT i, repeat(i::text, 20) AS t FROM generate_series(1, 20000) i;
CREATE ROLE limited LOGIN;
GRANT upg_operator TO limited;
CREATE ROLE nologin;
GRANT upg_operator TO nologin;
GRANT CREATE ON SCHEMA public TO limited, nologin;
ALTER TABLE big OWNER TO limited;
SQL

# No worker slots: what fits a transaction runs, the rest is refused and changes
# nothing; a failure is kept in the session, and written at its next call.
is($server->sql(q{SELECT state FROM upg_apply('slots 1', 'CREATE TABLE slots (i int)')}), 'applied', 'no worker slots: one transaction runs');
($status, $out, $err) = $server->psql(q{\set VERBOSITY verbose
SELECT state FROM upg_apply('slots 2', 'CREATE INDEX CONCURRENTLY ON slots (i)');});
like($err, qr/ERROR:  UP010: could not start a background worker/, '... several steps do not');
like($err, qr/max_worker_processes \(0\) are in use/, '... the error says what is used up');
is(state_of('slots 2'), '', '... and nothing is in the books');
$err = $server->error("SELECT upg_apply('slots 3', 'SELECT 1/0');\nSELECT upg_apply('slots 4', 'SELECT 1');", '-v', 'ON_ERROR_STOP=0');
like($err, qr/division by zero/, '... a failure reaches the client');
is(last_of('slots 3', 'sqlstate, statement'), '22012|SELECT 1/0', '... and the books, with the next call');
is($server->sql(q{SELECT string_agg(state, ',' ORDER BY attempt_id) FROM upg_history('slots 4')}), 'succeeded', '... which does its own work, too');

# The command line, too.
mkdir "$dir/m" or die;
for (['1_a.sql', 'CREATE TABLE cli_a (i int);'], ['2_b.sql', 'CREATE INDEX CONCURRENTLY ON cli_a (i);'])
{
    open my $fh, '>', "$dir/m/$_->[0]" or die;
    print $fh $_->[1];
    close $fh;
}
run([$upg, 'up', '-d', 'postgres', "$dir/m"], '<', \undef, '>', \$out, '2>', \$err, timeout(60));
is($? >> 8, 1, 'upg up without worker slots: exit 1');
like($err, qr/max_worker_processes/, '... says what is used up');
is($server->sql('SELECT applied FROM upg_digest()'), 3, '... and what came before stays');

# No connections left (some of these find none, either).
my @others = map { $server->background('SELECT pg_sleep(30)') } 1 .. 12;
for (1 .. 100)
{
    ($status, $out, $err) = $server->psql('SELECT 1');
    last if $status;
    select undef, undef, undef, 0.1;
}
like($err, qr/too many clients/, 'the connections are used up');
run([$upg, 'up', '-d', 'postgres', "$dir/m"], '<', \undef, '>', \$out, '2>', \$err, timeout(60));
isnt($? >> 8, 0, 'upg up fails');
like($err, qr/too many clients/, '... and says why');
kill 'TERM', @others;
$server->reap($_) for @others;

# With slots again, the same directory goes up.
$server->script('restart', 'fsync=off', 'max_worker_processes=8', 'autovacuum=off', 'log_min_messages=log');
run([$upg, 'up', '-d', 'postgres', "$dir/m"], '<', \undef, '>', \$out, '2>', \$err, timeout(60));
is($? >> 8, 0, 'with worker slots, upg up goes on') or diag $err;
is($server->sql(q{SELECT count(*) FROM upg_status() WHERE state = 'applied' AND migration ~ '_[ab]$'}), 2, '... and finishes');

# A role that may not log in.
($status, $out, $err) = $server->psql(q{SET SESSION AUTHORIZATION nologin;
SELECT upg_apply('login', 'VACUUM big; SELECT 1');});
like($err, qr/cannot run as role "nologin", which is not permitted to log in/, 'SET SESSION AUTHORIZATION to a role without LOGIN is refused');
like($err, qr/SET ROLE/, '... with what to do');
is(state_of('login'), '', '... before anything is in the books');
$server->sql(q{SET ROLE nologin; SELECT upg_apply('set role', 'CREATE TABLE owned (i int); VACUUM owned;')});
$server->sql(q{CALL upg_wait('set role', '20 s')});
is($server->sql(q{SELECT relowner::regrole FROM pg_class WHERE relname = 'owned'}), 'nologin', '... SET ROLE does it');

# Time limits of the role: in a session for the call, in a worker for each statement.
{
    local $ENV{PGUSER} = 'limited';
    local $ENV{PGDATABASE} = 'postgres';
    $server->sql('ALTER ROLE limited SET statement_timeout = 400', '-U', 'postgres');
    like($server->error(q{SELECT upg_apply('call', 'SELECT 1; SELECT pg_sleep(20)')}), qr/canceling statement due to statement timeout/, 'statement_timeout ends a call');
    is(last_of('call', 'statement_no, sqlstate, statement'), '2|57014|SELECT pg_sleep(20)', '... the history has the statement');
    $server->sql(q{SELECT upg_apply('steps', 'VACUUM big; SELECT pg_sleep(0.3); SELECT pg_sleep(0.3); SELECT pg_sleep(20); VACUUM big')});
    ended('steps');
    is(state_of('steps'), 'partial', 'statement_timeout in a worker: what was done stays');
    is(last_of('steps', 'statement_no, sqlstate, message'), '4|57014|canceling statement due to statement timeout', '... each statement has its own time');
    $server->sql(q{SELECT upg_apply('own', 'VACUUM big; SET statement_timeout = 0; SELECT pg_sleep(0.6)')});
    ended('own');
    is(state_of('own'), 'applied', '... and a script may set its own');
    $server->sql('ALTER ROLE limited RESET statement_timeout', '-U', 'postgres');

    # An idle transaction is ended by the server; nothing of it stays.
    $server->sql('ALTER ROLE limited SET idle_in_transaction_session_timeout = 300', '-U', 'postgres');
    like($server->error("BEGIN; SELECT upg_begin('idle', 'CREATE TABLE idle (i int)');\nCREATE TABLE idle (i int);\n\\! sleep 1\nSELECT upg_finish();"),
        qr/terminating connection due to idle-in-transaction timeout/, 'idle_in_transaction_session_timeout ends a client-driven migration');
    is($server->sql(q{SELECT to_regclass('idle') IS NULL}), 't', '... nothing of it is there');
    is(state_of('idle'), '', '... nor in the books');
    is($server->sql('SELECT count(*) FROM upg_locks()'), 0, '... and its locks are gone');
    $server->sql(q{SELECT upg_apply('not idle', 'VACUUM big; SELECT pg_sleep(0.6); VACUUM big')});
    ended('not idle');
    is(state_of('not idle'), 'applied', '... a worker is never idle');
    $server->sql('ALTER ROLE limited RESET idle_in_transaction_session_timeout', '-U', 'postgres');

    # The shorter of two lock timeouts
    $server->sql('ALTER ROLE limited SET lock_timeout = 100', '-U', 'postgres');
    my $holder = do { local $ENV{PGUSER} = 'postgres'; $server->background('BEGIN; LOCK TABLE big IN ACCESS SHARE MODE; SELECT pg_sleep(30)', 'holder') };
    ok($server->wait_for(q{SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'big'::regclass AND mode = 'AccessShareLock')}, 20), 'a table is locked');
    like($server->error(q{SELECT upg_apply('locked', 'ALTER TABLE big ADD c int', options => '{"lock_retries": 2}')}),
        qr/could not lock what the statement needs after 3 tries/, 'lock_timeout of the role: tries are bounded');
    is(last_of('locked', "sqlstate, statement, jsonb_array_length(lock_waits), (lock_waits->0->>'waited_ms')::int BETWEEN 90 AND 1500"),
        'UP015|ALTER TABLE big ADD c int|3|t', '... and its shorter time holds');
    $server->sql(q{SELECT upg_apply('vacuum full', 'VACUUM FULL big')});
    ended('vacuum full');
    is(state_of('vacuum full'), 'failed', 'a statement that no transaction can hold obeys it, too');
    is(last_of('vacuum full', 'sqlstate'), '55P03', '... and the history has it');
    kill 'TERM', $holder;
    $server->reap($holder);
    $server->sql('ALTER ROLE limited RESET lock_timeout', '-U', 'postgres');

    # Space for temporary files
    $server->sql(q{ALTER ROLE limited SET work_mem = '64kB'; ALTER ROLE limited SET temp_file_limit = '100kB'}, '-U', 'postgres');
    like($server->error(q{SELECT upg_apply('temp', 'CREATE TABLE sorted AS SELECT * FROM big ORDER BY t')}),
        qr/temporary file size exceeds temp_file_limit/, 'temp_file_limit');
    is(last_of('temp', 'statement_no, sqlstate'), '1|53400', '... the history has the statement');
    $server->sql(q{SELECT upg_apply('temp steps', 'VACUUM big; CREATE TABLE sorted AS SELECT * FROM big ORDER BY t')});
    ended('temp steps');
    is(last_of('temp steps', 'statement_no, sqlstate'), '2|53400', '... in a worker, too');
    $server->sql(q{ALTER ROLE limited RESET ALL}, '-U', 'postgres');
    $server->sql(q{SELECT upg_apply('temp steps')});
    ended('temp steps');
    is(state_of('temp steps'), 'applied', '... and with more space it goes on');

    # Defaults of the role that a worker must not trip over
    $server->sql(q{ALTER DATABASE postgres SET default_transaction_read_only = on; ALTER DATABASE postgres SET default_transaction_isolation = serializable}, '-U', 'postgres');
    like($server->error(q{SELECT upg_apply('read only', 'SELECT 1')}), qr/read-only transaction/, 'read-only by default: refused');
    like($server->error(q{BEGIN READ WRITE; SELECT upg_apply('writes', 'SELECT 1/0')}), qr/division by zero/, '... unless the caller says otherwise');
    is($server->sql(q{BEGIN READ WRITE; SELECT upg_apply('writes steps', 'VACUUM big; CREATE TABLE written (i int)'); COMMIT; SELECT state FROM upg_history('writes') LIMIT 1}) =~ /failed$/ ? 1 : 0,
        1, '... a failure is recorded all the same');
    ended('writes steps');
    is(state_of('writes steps'), 'applied', '... and a worker writes as its caller would');
    $server->sql('BEGIN READ WRITE; ALTER DATABASE postgres RESET ALL; COMMIT', '-U', 'postgres');
}
is($server->sql('SELECT ok, reason FROM upg_audit_verify()'), 't|', 'the audit trail is whole');
unlike(do { open my $fh, '<', "$dir/server.log"; local $/; <$fh> }, qr/terminated by signal|TRAP|PANIC/, 'no process crashed');
done_testing();
