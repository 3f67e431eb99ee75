# A dump carries the books: restored by psql or by pg_restore in parallel, the ledger
# and the audit trail are whole and work goes on; what only made sense in the old
# database is not acted upon.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Upg::Server;

my $server = Upg::Server->new('fsync=off');
my $dir    = $server->dir;
$server->sql('CREATE DATABASE old');
$server->sql(<<'SQL', '-d', 'old');
CREATE EXTENSION upg;
CREATE TABLE busy (i int);
SELECT upg_apply('one', 'CREATE TABLE t (i int); INSERT INTO t VALUES (1)', 'DROP TABLE t');
SELECT upg_apply('two', 'CREATE INDEX CONCURRENTLY ti ON t (i)', 'DROP INDEX ti', '{one}');
CALL upg_wait('two');
SELECT upg_apply('self', 'CREATE TABLE self_undone (i int)', options => '{"undo": "required"}');
SELECT upg_register('later', 'CREATE TABLE later (i int)', 'DROP TABLE later', '{two}');
SELECT upg_upgrade_finish(upg_upgrade_start('up', '{one,two}'), 'completed', NULL, 'v1');
SQL
like($server->error(q{SELECT upg_apply('bad', 'SELECT 1/0')}, '-d', 'old'), qr/division by zero/, 'one failure');

# One that a worker was at, and one that waits to be run: both as a dump may find them.
local $ENV{PGDATABASE} = 'old';
my $holder = $server->background("BEGIN; LOCK TABLE busy; SELECT pg_sleep(60)", 'holder');
ok($server->wait_for("SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'busy'::regclass AND granted)", 20), 'a table is locked');
$server->sql(q{SELECT upg_apply('killed', 'CREATE INDEX CONCURRENTLY ON busy (i); VACUUM busy;', 'DROP INDEX busy_i_idx')});
ok($server->wait_for("SELECT EXISTS (SELECT FROM upg.steps WHERE state = 'running')", 20), 'a worker waits for it');
$server->sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'upg migration'");
$server->sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'holder'");
$server->reap($holder);
is($server->sql(q{SELECT state FROM upg_migration_state('killed')}), 'running', 'the books have it as running');

my $books = q{SELECT (SELECT string_agg(m::text, E'\n' ORDER BY name) FROM upg.migrations m),
    (SELECT string_agg(s::text, E'\n' ORDER BY s) FROM upg.steps s),
    (SELECT string_agg(a::text, E'\n' ORDER BY attempt_id) FROM upg.attempts a),
    (SELECT string_agg(v::text, E'\n') FROM upg.versions v), (SELECT string_agg(u::text, E'\n') FROM upg.upgrades u),
    (SELECT string_agg(l::text, E'\n' ORDER BY seq) FROM upg.audit_log l)};
my $checkpoint = $server->sql(q{SELECT upg_audit_checkpoint('before the dump')});
my $want       = $server->sql($books);

sub run_ok
{
    my ($what, @command) = @_;
    my $log = "$dir/run.log";
    is(system(join(' ', map { /^[<>2]/ ? $_ : "'$_'" } @command) . " >>'$log' 2>&1"), 0, $what)
      or diag `cat $log`;
    return;
}
run_ok('pg_dump', $server->bin('pg_dump'), '-f', "$dir/old.sql", 'old');
run_ok('pg_dump -Fd', $server->bin('pg_dump'), '-Fd', '-f', "$dir/old.dir", 'old');
$server->sql("CREATE DATABASE $_") for 'plain', 'parallel';
run_ok('psql', $server->bin('psql'), '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'plain', '-f', "$dir/old.sql");
run_ok('pg_restore -j2', $server->bin('pg_restore'), '-e', '-j2', '-d', 'parallel', "$dir/old.dir");

for my $db ('plain', 'parallel')
{
    $ENV{PGDATABASE} = $db;
    is($server->sql($books), $want, "$db: the books are the same");
    is($server->sql('SELECT ok, reason FROM upg_audit_verify()'), 't|', "$db: the trail is whole");
    is($server->sql("SELECT ok, reason FROM upg_audit_verify(\$\$$checkpoint\$\$)"), 't|', "$db: and holds the checkpoint");
    is($server->sql(q{SELECT state FROM upg_apply('one', 'CREATE TABLE t (i int); INSERT INTO t VALUES (1)')}),
        'already', "$db: what was applied is known");
    is($server->sql("SELECT upg_library_version() <> '', (SELECT count(*) FROM upg_progress() WHERE pid IS NOT NULL)"),
        't|0', "$db: nothing runs by itself");
    is($server->sql("SELECT state FROM upg_apply('later')"), 'applied', "$db: what was registered can be applied");
    is($server->sql(q{SELECT string_agg(migration, ' ') FROM upg_rollback(to_name => 'self')}), 'later', "$db: and taken back");
    like($server->error(q{SELECT upg_rollback('self')}), qr/ERROR: .*undo/, "$db: the undo log stayed behind, and that is said");

    # The worker died in the old database: what it left there says nothing of this one.
    $server->sql(q{CREATE INDEX other ON busy (i)});
    $server->sql(q{SELECT upg_apply('killed')});
    ok($server->wait_for(q{SELECT state NOT IN ('queued', 'running') FROM upg_migration_state('killed')}, 20), "$db: it is taken up");
    is($server->sql(q{SELECT state FROM upg_migration_state('killed')}), 'unknown', "$db: its outcome is not guessed");
    like($server->sql(q{SELECT string_agg(detail, ' ') FROM upg_history('killed')}), qr/another database, of which this one is a copy/,
        "$db: and the history says why");
    $server->sql(q{SELECT upg_repair('killed', 'absent', 'it is not in the dump')});
    $server->sql(q{CALL upg_wait('killed', '20 s')});
    is($server->sql(q{SELECT string_agg(indexrelid::regclass::text, ',' ORDER BY indexrelid) FROM pg_index WHERE indrelid = 'busy'::regclass}),
        'other,busy_i_idx', "$db: repaired, it goes on");
    is($server->sql('SELECT ok, reason FROM upg_audit_verify()'), 't|', "$db: the trail goes on");
}

# Into a trail that has entries already, nothing can be loaded.
like($server->error(q{COPY (SELECT * FROM upg.audit_log) TO '/dev/null'; INSERT INTO upg.audit_log SELECT * FROM upg.audit_log}),
    qr/cannot INSERT "upg.audit_log"/, 'a trail that is not empty cannot be filled');
done_testing();
