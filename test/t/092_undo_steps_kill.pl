# Kill the background worker while it runs captured scripts of several steps, and
# what CONCURRENTLY commands commit on their way.  Applied to the end by the next
# run, such a migration is still taken back exactly, as if nothing had happened.
#
# UPG_KILLS is the number of kills (default 4), UPG_SEED the seed.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(sleep time);

use Upg::Kill qw(seeded running_worker);
use Upg::Server;

my $kills = $ENV{UPG_KILLS} || 4;
my $rows  = $ENV{UPG_KILL_ROWS} || 100_000;
seeded();

my $server = Upg::Server->new('max_worker_processes=16', 'max_connections=40',
    'max_parallel_maintenance_workers=0', 'maintenance_work_mem=1MB');
$server->sql(<<"SQL");
CREATE EXTENSION upg;
CREATE TABLE big (id int PRIMARY KEY, v text, w float8);
INSERT INTO big SELECT i, md5(i::text), i / 7.0 FROM generate_series(1, $rows) i;
CREATE INDEX big_v ON big (v);
CREATE TABLE part (k int, v int) PARTITION BY LIST (k);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
INSERT INTO part SELECT 1, g FROM generate_series(1, 100) g;
CREATE TYPE mood AS ENUM ('calm');
SQL

# Everything that a rollback must bring back, OIDs of indexes and their validity too.
my $state = q{SELECT upg_schema_fingerprint() || (SELECT md5(string_agg(big::text, '' ORDER BY id)) FROM big)
    || (SELECT count(*) FROM part) || (SELECT string_agg(c.oid || c.relname || indisvalid || indisready || indislive, ' ' ORDER BY c.relname)
    FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE indrelid IN ('big'::regclass, 'part_1'::regclass))};

my $script = <<'SQL';
UPDATE big SET w = w + 1 WHERE id % 100 = 0;
CREATE INDEX CONCURRENTLY big_w ON big (w);
REINDEX INDEX CONCURRENTLY big_v;
ALTER TYPE mood ADD VALUE 'busy';
CREATE TABLE moods (m mood DEFAULT 'busy');
ALTER TABLE part DETACH PARTITION part_1 CONCURRENTLY;
DO $do$ BEGIN DELETE FROM big WHERE id % 50 = 1; COMMIT; UPDATE big SET v = 'x' WHERE id % 50 = 2; END $do$;
DROP INDEX CONCURRENTLY big_v;
SQL

sub apply
{
    my ($name) = @_;
    $server->psql("SELECT state FROM upg_apply('$name', \$upg\$$script\$upg\$, options => '{\"undo\": \"required\"}')");
}

sub settle
{
    my ($name) = @_;
    $server->wait_for("SELECT state NOT IN ('queued', 'running') OR worker_pid IS NULL FROM upg_migration_state('$name')", 120);
    $server->psql("CALL upg_wait('$name', '120 s')");
    return $server->sql("SELECT state FROM upg_migration_state('$name')");
}

my $before = $server->sql($state);
my $start  = time;
apply('whole');
is(settle('whole'), 'applied', 'undisturbed, the script is applied');
my $takes = time - $start;
$server->sql("SELECT state FROM upg_rollback('whole')");
is($server->sql($state), $before, 'and taken back exactly');

my $landed = 0;
for my $n (1 .. $kills)
{
    my $name = "killed_$n";
    my $was  = $server->sql($state);
    apply($name);
    sleep 0.05 + rand(0.9 * $takes);
    my $pid = running_worker($server);
    $landed++ if $pid && kill('KILL', $pid);
    $server->wait_for('SELECT true', 60);
    my $now;
    for (1 .. 3)
    {
        apply($name);
        $now = settle($name);
        last if $now ne 'partial' && $now ne 'failed';
    }
    if ($now eq 'unknown')
    {
        # the DO block was hit, and how far it came is not known to the books; the undo is
        $server->sql("SELECT upg_repair('$name', 'applied', 'whatever was done can be taken back')");
        $now = settle($name);
    }
    is($now, 'applied', "$name: applied after the kill")
      or diag($server->sql("SELECT state, statement_no, message, detail FROM upg_history('$name')"));
    is($server->sql("SELECT undo FROM upg_status() WHERE migration = '$name'"), 'exact', "$name: its way back is exact");
    my ($status, $out, $err) = $server->psql("SELECT state FROM upg_rollback('$name')");
    is($server->sql($state), $was, "$name: everything is back") or diag($out // '', $err // '');
}
cmp_ok($landed, '>', 0, 'kills hit a worker');
diag("$landed of $kills kills hit");
is($server->sql("SELECT count(*) FROM upg.undo_log WHERE state = 'kept'"), 0, 'no log is left over');
is($server->sql('SELECT ok FROM upg_audit_verify()'), 't', 'the audit trail is intact');
done_testing();
