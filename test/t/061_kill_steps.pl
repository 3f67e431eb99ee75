# Kill the background worker, or stop the server at once, while it runs scripts
# of several steps and statements that no transaction can hold.  Applying again
# goes on at the statement where it was, and nothing is done twice.
#
# UPG_KILLS is the number of kills of each kind (default 3), UPG_KILLS_INDEX that of
# kills inside one concurrent index build (default UPG_KILLS), UPG_KILL_ROWS the rows of
# its table (default 200,000), UPG_SEED the seed.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(sleep);

use Upg::Kill qw(marks_directory inside_now check_effects seeded running_worker);
use Upg::Server;

my $kills = $ENV{UPG_KILLS} || 3;
my $index_kills = $ENV{UPG_KILLS_INDEX} || $kills;
my $rows  = $ENV{UPG_KILL_ROWS} || 200_000;
seeded();

my $server = Upg::Server->new('max_worker_processes=16', 'max_connections=40',
    'max_parallel_maintenance_workers=0', 'maintenance_work_mem=1MB');
$server->sql('CREATE EXTENSION upg');
my $marks = marks_directory($server);
$server->sql(<<"SQL");
CREATE TABLE big (id int PRIMARY KEY, v text, w float8);
INSERT INTO big SELECT i, md5(i::text), random() FROM generate_series(1, 200000) i;
CREATE TABLE part (k int, v int) PARTITION BY LIST (k);
CREATE TABLE side (i int);
SQL

# Apply, and wait for the end; returns the state.
sub apply
{
    my ($name, $script) = @_;
    $server->psql("SELECT state FROM upg_apply('$name', \$upg\$$script\$upg\$)");
    return settle($name);
}

sub settle
{
    my ($name) = @_;
    $server->wait_for("SELECT state NOT IN ('queued', 'running') OR worker_pid IS NULL FROM upg_migration_state('$name')", 60);
    $server->psql("CALL upg_wait('$name', '60 s')");
    return $server->sql("SELECT state FROM upg_migration_state('$name')");
}

# Kill the worker of a migration at a random time after it has begun; true if
# there was one.
sub kill_worker
{
    my ($begun, $longest) = @_;
    for (1 .. 400) { last if -e $begun; sleep 0.05 }
    sleep rand $longest;
    my $pid = running_worker($server) or return 0;
    return kill('KILL', $pid);
}

# A script of many steps: effects in transactions, between statements that stand alone.
sub script
{
    my ($n) = @_;
    return <<"SQL";
COPY (SELECT) TO '$marks/s$n.begun';
INSERT INTO effects VALUES ('s$n', 1);
CREATE INDEX CONCURRENTLY big_v_$n ON big (v);
INSERT INTO effects VALUES ('s$n', 2);
CREATE INDEX CONCURRENTLY ON big (w) WHERE id % $n = 0;
VACUUM side;
BEGIN;
INSERT INTO effects VALUES ('s$n', 3);
CREATE TABLE part_$n PARTITION OF part FOR VALUES IN ($n);
INSERT INTO part VALUES ($n, $n);
COMMIT;
ALTER TABLE part DETACH PARTITION part_$n CONCURRENTLY;
INSERT INTO effects VALUES ('s$n', 4);
REINDEX INDEX CONCURRENTLY big_v_$n;
INSERT INTO effects VALUES ('s$n', 5);
DROP INDEX CONCURRENTLY big_v_$n;
CREATE INDEX CONCURRENTLY big_vw_$n ON big (v, w);
INSERT INTO effects VALUES ('s$n', 6);
COPY (SELECT) TO '$marks/s$n.ended';
SQL
}

# How long one takes undisturbed
my $n      = 1;
my $before = Time::HiRes::time();
is(apply("s$n", script($n)), 'applied', 'undisturbed, a script of many steps is applied');
my $takes = Time::HiRes::time() - $before;
diag(sprintf 'undisturbed it takes %.1f s', $takes);

my ($landed, $tried) = (0, 0);
while ($tried < $kills)
{
    $n++;
    my $name   = "s$n";
    my $script = script($n);
    $tried++;
    $server->psql("SELECT state FROM upg_apply('$name', \$upg\$$script\$upg\$)");
    if (kill_worker("$marks/$name.begun", 0.85 * $takes) && -e "$marks/$name.begun" && !-e "$marks/$name.ended")
    {
        $landed++;
    }
    $server->wait_for('SELECT true', 30);
    my $state;
    for (1 .. 3)
    {
        $state = apply($name, $script);
        last if $state eq 'applied';
    }
    is($state, 'applied', "$name: applied again after the kill")
      or diag($server->sql("SELECT state, statement_no, message, detail FROM upg_history('$name')"));
}

# The command line is killed while a worker runs such a script for it: the worker
# goes on, and the command line, run again, finds it at work or done.
my $upg = $ENV{UPG_PROGRAM} || $server->top . '/cli/upg';
my $cli_landed = 0;
for (1 .. $kills)
{
    $n++;
    my $files = $server->dir . "/s$n";
    mkdir $files;
    open my $fh, '>', "$files/s$n.up.sql" or die;
    print $fh script($n);
    close $fh;
    my $run = $server->background_program('the run', $upg, 'up', $files);
    for (1 .. 400) { last if -e "$marks/s$n.begun"; sleep 0.05 }
    sleep rand 0.7 * $takes;
    $cli_landed++ if -e "$marks/s$n.begun" && !-e "$marks/s$n.ended" && kill('KILL', $run);
    $server->reap($run);
    my ($status, $out, $err) = $server->reap($server->background_program('the run', $upg, 'up', $files));
    is($status, 0, "s$n: the command line, run again after its kill, succeeds") or diag($out, $err);
    is($server->sql("SELECT state FROM upg_migration_state('s$n')"), 'applied', "s$n: and it is applied");
}

# The server is stopped at once in the middle of a script
{
    $n++;
    my $name   = "s$n";
    my $script = script($n);
    $server->psql("SELECT state FROM upg_apply('$name', \$upg\$$script\$upg\$)");
    sleep 0.5 * $takes;
    $server->script('stop', 'immediate');
    $server->script('start', @{ $server->{settings} });
    is(apply($name, $script), 'applied', "$name: applied again after an immediate stop");
}

check_effects($server, 6 * $n, 'scripts of many steps');
is($server->sql(q{SELECT count(*) FROM pg_index WHERE NOT indisvalid}), 0, 'no index is left INVALID');
is($server->sql(q{SELECT count(*) FROM pg_class WHERE relname ~ '^big_vw_\d+$' AND relkind = 'i'}),
    $n, 'each named index is there once');
is($server->sql(q{SELECT count(*) FROM pg_index WHERE indrelid = 'big'::regclass AND indpred IS NOT NULL}),
    $n, 'each unnamed index is there once');
is($server->sql(q{SELECT count(*) FROM pg_class WHERE relname ~ '^big_v_\d+' AND relkind = 'i'}),
    0, 'each dropped index is gone');
is($server->sql('SELECT count(*) FROM pg_inherits'), 0, 'each partition is detached');
is($server->sql(q{SELECT count(*) FROM pg_class WHERE relname ~ '_cc(new|old)'}), 0, 'REINDEX left nothing');

# Inside CREATE INDEX CONCURRENTLY of a big table, at any time of the build
$server->sql("CREATE TABLE huge (id int PRIMARY KEY, v text, w float8)");
$server->sql("INSERT INTO huge SELECT i, md5(i::text), random() FROM generate_series(1, $rows) i");
$server->sql('VACUUM ANALYZE huge; CHECKPOINT');
$before = Time::HiRes::time();
is(apply('c0', 'CREATE INDEX CONCURRENTLY huge_c_0 ON huge (md5(v), w);'), 'applied', 'undisturbed, the index is built');
my $builds = Time::HiRes::time() - $before;
diag(sprintf 'undisturbed, an index of %d rows takes %.1f s', $rows, $builds);
my ($inside, $cic) = (0, 0);
while ($cic < $index_kills)
{
    $cic++;
    my $name   = "c$cic";
    my $script = "CREATE INDEX CONCURRENTLY huge_c_$cic ON huge (md5(v), w);";
    $server->psql("SELECT state FROM upg_apply('$name', \$upg\$$script\$upg\$)");
    # At work is when the server says so: then the build itself is what is hit.
    $server->wait_for('SELECT EXISTS (SELECT FROM pg_stat_progress_create_index)', 60);
    sleep rand 0.7 * $builds;
    my ($status, $pid) = $server->psql('SELECT pid FROM pg_stat_progress_create_index LIMIT 1');
    my $landed_here = $pid && kill('KILL', $pid);
    $inside++ if $landed_here;
    sleep 0.2;
    $server->wait_for('SELECT true', 30);
    my $state = apply($name, $script);
    is($state, 'applied', "$name: the index is built after the kill");
    is($server->sql("SELECT string_agg(indisvalid::text, ',') FROM pg_index WHERE indexrelid::regclass::text ~ '^huge_c_$cic(_|\$)'"),
        'true', "$name: once, and valid");
    like($server->sql("SELECT string_agg(state, ',' ORDER BY attempt_id) FROM upg_history('$name')"),
        $landed_here ? qr/killed.*succeeded/ : qr/^succeeded/, "$name: the history tells of the kill and of the end");
    $server->sql("DROP INDEX huge_c_$cic");
}
is($server->sql('SELECT ok, reason FROM upg_audit_verify()'), 't|', 'the audit chain is whole');

diag("kills that landed inside a script of several steps: $landed of $kills");
diag("kills of the command line that landed inside one: $cli_landed of $kills");
diag("kills that landed inside CREATE INDEX CONCURRENTLY: $inside of $index_kills");
# Of a handful, chance may let most miss; the full check kills often enough to tell.
my $enough = $kills < 10 ? 1 : 0.6 * $kills;
cmp_ok($landed, '>=', $enough, 'enough landed inside a script of several steps');
cmp_ok($cli_landed, '>=', $enough, 'enough of those of the command line did');
cmp_ok($inside, '>=', $index_kills < 10 ? 1 : 0.6 * $index_kills, 'enough landed inside CREATE INDEX CONCURRENTLY');

done_testing();
