# A hot standby answers what is read, and refuses what writes; after a promotion the
# upgrade goes on there.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IPC::Run qw(run);
use Test::More;

use Upg::Server;

my $server = Upg::Server->new('fsync=off');
my $dir    = $server->dir;
my @owner  = $> == 0 ? ('runuser', '-u', $ENV{UPG_SERVER_USER} || 'postgres', '--') : ();
my ($out, $err);

$server->sql(<<'SQL');
CREATE EXTENSION upg;
CREATE ROLE viewer LOGIN;
GRANT upg_viewer TO viewer;
SELECT upg_apply('one', 'CREATE TABLE t (i int PRIMARY KEY)', 'DROP TABLE t');
SELECT upg_apply('two', 'CREATE INDEX CONCURRENTLY ti ON t (i)', 'DROP INDEX ti', '{one}');
CALL upg_wait('two');
SELECT upg_invariant_declare('rows', 'row_count', rel => 't');
SELECT count(*) FROM upg_verify();
SELECT upg_register('later', 'CREATE TABLE later (i int)', 'DROP TABLE later', '{two}');
SQL

# The standby, beside the primary, on a socket of its own number.
chdir '/';
run([@owner, $server->bin('pg_basebackup'), '-D', "$dir/standby", '-R', '-X', 'stream', '--checkpoint=fast'],
    '<', \undef, '>', \$out, '2>', \$err) or BAIL_OUT("pg_basebackup: $err");
run([@owner, $server->bin('pg_ctl'), '-D', "$dir/standby", '-w', '-l', "$dir/standby.log", '-o', '-p 5998', 'start'],
    '<', \undef, '>', "$dir/standby.ctl", '2>&1') or BAIL_OUT('the standby did not start');
END { run([@owner, $server->bin('pg_ctl'), '-D', "$dir/standby", '-m', 'immediate', 'stop'], '<', \undef, '>', \$out, '2>', \$err) if $server && -e "$dir/standby/postmaster.pid" }

my $position = $server->sql('SELECT pg_current_wal_lsn()');
$ENV{PGPORT} = 5998;
ok($server->wait_for("SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() >= '$position'", 30), 'the standby has caught up');

# Every function that is not volatile reads, and so do these.
my %reads = (
    'upg_status()'                    => "SELECT string_agg(migration || '=' || state, ',') FROM upg_status()",
    'upg_history()'                   => 'SELECT count(*) > 2 FROM upg_history()',
    'upg_plan()'                      => 'SELECT string_agg(migration, \',\') FROM upg_plan()',
    'upg_digest()'                    => 'SELECT applied FROM upg_digest()',
    'upg_migration_state()'           => "SELECT state FROM upg_migration_state('two')",
    'upg_progress()'                  => 'SELECT count(*) FROM upg_progress()',
    'upg_locks()'                     => 'SELECT count(*) FROM upg_locks()',
    'upg_down()'                      => "SELECT upg_down('one')",
    'upg_script_info()'               => "SELECT statements FROM upg_script_info('SELECT 1; SELECT 2')",
    'upg_script_statements()'         => "SELECT count(*) FROM upg_script_statements('SELECT 1; SELECT 2')",
    'upg_audit_verify()'              => 'SELECT ok FROM upg_audit_verify()',
    'upg_audit_export()'              => 'SELECT count(*) > 2 FROM upg_audit_export()',
    'upg_library_version()'           => "SELECT upg_library_version() <> ''",
    'upg_table_checksum()'            => "SELECT upg_table_checksum('t')::text LIKE 'upg1:strict:%'",
    'upg_compare()'                   => "SELECT count(*) FROM upg_compare('t', 't')",
    'upg_constraints_recheck()'       => "SELECT bool_and(state = 'passed') FROM upg_constraints_recheck()",
    'upg_verify()'                    => "SET client_min_messages = warning; SELECT count(*) > 2 AND bool_and(verification IS NULL AND state IN ('passed', 'recorded')) FROM upg_verify()",
    'upg_verification_report()'       => "SELECT upg_verification_report() LIKE 'Verification 1: passed%'",
    'upg_scan_progress()'             => 'SELECT count(*) FROM upg_scan_progress()',
    'CALL upg_wait() of what is done' => "CALL upg_wait('two')",
);
my %want = (
    'upg_status()'            => 'one=applied,two=applied,later=registered', 'upg_plan()' => 'later',
    'upg_digest()'            => 2, 'upg_migration_state()' => 'applied', 'upg_progress()' => 0, 'upg_scan_progress()' => 0, 'upg_compare()' => 0, 'upg_locks()' => 0,
    'upg_down()'              => 'DROP TABLE t', 'upg_script_info()' => 2, 'upg_script_statements()' => 2,
    'CALL upg_wait() of what is done' => ''
);
for my $name (sort keys %reads)
{
    my ($status, $got, $error) = $server->psql($reads{$name});
    is($error, '', "$name works on a standby");
    is($got, $want{$name} // 't', "$name answers");
}
{
    local $ENV{PGUSER} = 'viewer';
    is($server->sql('SELECT count(*) FROM upg_status()'), 3, 'a viewer reads there, too');
}

for my $call (
    "upg_apply('x', 'SELECT 1')",       "upg_apply('one', 'CREATE TABLE t (i int PRIMARY KEY)')",
    "upg_register('x', 'SELECT 1')",    "upg_adopt('x', 'SELECT 1')",
    "upg_rollback('one')",              "upg_begin('x', 'SELECT 1')",
    "upg_upgrade_start('up', '{}')",    "upg_upgrade_finish(1, 'completed')",
    "upg_forget_registration('later')", "upg_repair('two', 'applied', 'x')",
    q{upg_record_attempt('x', '{}')},   "upg_audit_note('x')",
    "upg_audit_checkpoint('x')",       "upg_invariant_declare('x', 'true', 'SELECT true')",
    "upg_invariant_drop('rows')")
{
    my ($name) = $call =~ /^(\w+)/;
    my ($status, $got, $error) = $server->psql("\\set VERBOSITY verbose\nSELECT $call;");
    like($error, qr/ERROR:  25006: cannot execute $name\(\) during recovery/, "$call is refused");
}

# The command line: what reads is served, what writes is told where to go.
my $upg = $ENV{UPG_PROGRAM} // Upg::Server->top . '/cli/upg';
mkdir "$dir/m" or die;
for (['one.sql', 'CREATE TABLE t (i int PRIMARY KEY)'], ['zeta.sql', 'CREATE TABLE zeta (i int)'])
{
    open my $fh, '>', "$dir/m/$_->[0]" or die;
    print $fh $_->[1];
    close $fh;
}
sub upg_there
{
    run([$upg, @_, '-d', 'postgres'], '<', \undef, '>', \$out, '2>', \$err);
    return $? >> 8;
}
is(upg_there('status', "$dir/m"), 0, 'upg status on a standby') or diag $err;
like($out, qr/^pending     zeta$/m, '... compares the directory');
is(upg_there('plan', "$dir/m"), 0, 'upg plan') or diag $err;
is(upg_there('up', '--dry-run', "$dir/m"), 0, 'upg up --dry-run') or diag $err;
for my $call ([ 'up', "$dir/m" ], [ 'up', '--single-transaction', "$dir/m" ], [ 'apply', "$dir/m/zeta.sql" ], ['down'],
    [ 'register', "$dir/m" ], [ 'adopt', "$dir/m" ], [ 'data', 'drop', 'rows' ], [ 'audit', 'checkpoint' ])
{
    is(upg_there(@$call), 1, "upg @$call[0 .. ($call->[0] =~ /data|audit/)]: exit 1") or diag $out;
    like($err, qr/during recovery|read-only/, '... is refused') or diag $out;
    like($err, qr/hint: Connect to the primary/, '... with what to do');
}
is(upg_there('doctor'), 8, 'upg doctor: exit 8');
like($out, qr/^fault +server +it is a standby: nothing can be upgraded/m, '... names it');

# The primary goes, the standby takes over.
{
    local $ENV{PGPORT} = 5999;
    $server->script('stop', 'immediate');
}
run([@owner, $server->bin('pg_ctl'), '-D', "$dir/standby", '-w', 'promote'], '<', \undef, '>', \$out, '2>', \$err)
  or BAIL_OUT("promote: $err");
is($server->sql("SELECT state FROM upg_apply('later')"), 'applied', 'promoted: the upgrade goes on');
$server->sql("SELECT upg_apply('three', 'CREATE INDEX CONCURRENTLY li ON later (i)')");
$server->sql("CALL upg_wait('three', '20 s')");
is($server->sql("SELECT state FROM upg_migration_state('three')"), 'applied', '... in workers, too');
is($server->sql('SELECT ok, reason FROM upg_audit_verify()'), 't|', '... and the audit trail is whole');
done_testing();
