# Undo across crashes, vacuums of every kind, a base backup and a standby.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use File::Temp qw(tempdir);
use IPC::Run qw(run);
use Test::More;
use UpgTest;

my $script = $ENV{UPG_SERVER_SCRIPT} // "$UpgTest::TOP/scripts/server.sh";
# Every page that recovery or the standby makes is compared with the one that was logged.
my @settings = ('autovacuum=off', 'wal_consistency_checking=all');
my $server = server_start(@settings);
my $db     = database('crash');

sub restart_after_crash
{
	my $err;
	server_stop('immediate');
	run([ $script, 'start', $server, 'fsync=off', @settings ], \undef, \my $out, \$err) or die $err;
}

# Content of all tables, and what the catalogs say.
sub state_of
{
	return sql($db, q{SELECT upg_schema_fingerprint('{public}')}) . "\n" . sql($db, q{
		SELECT md5(string_agg(x::text, ',' ORDER BY id)) FROM big x;
		SELECT md5(string_agg(x::text, ',' ORDER BY id)) FROM changed x;
		SELECT md5(string_agg(x::text, ',' ORDER BY id)) FROM wide x;
		-- recovery from a crash may skip values of a sequence, with or without upg
		SELECT last_value >= 5000, is_called FROM big_id_seq});
}

my $migration = q{
	UPDATE big SET v = 'u' WHERE id < 50;
	DROP TABLE big CASCADE;
	DELETE FROM changed WHERE id % 3 = 0;
	UPDATE changed SET v = v || '!';
	TRUNCATE wide;
	INSERT INTO wide VALUES (1, 'new');
	ALTER TABLE wide ALTER COLUMN id TYPE bigint;
	CREATE TABLE added AS SELECT * FROM changed;
};
sql($db, q{
	CREATE EXTENSION amcheck;
	CREATE TABLE big (id serial PRIMARY KEY, v text);
	INSERT INTO big (v) SELECT 'row ' || i FROM generate_series(1, 5000) i;
	CREATE INDEX ON big (v);
	UPDATE big SET v = v || '.' WHERE id % 4 = 0;
	CREATE VIEW seen AS SELECT * FROM big;
	CREATE TABLE changed (id int PRIMARY KEY, v text);
	INSERT INTO changed SELECT i, 'c' || i FROM generate_series(1, 3000) i;
	CREATE TABLE wide (id int PRIMARY KEY, v text);
	INSERT INTO wide SELECT i, (SELECT string_agg(md5((i * g)::text), '') FROM generate_series(1, 200) g) FROM generate_series(1, 50) i;
});
my $before = state_of();

is(sql($db, "SELECT verdict FROM upg.capture_run('m', \$m\$$migration\$m\$)"), 'exact', 'applied and proven');
my $kept = kept_files($db);
ok($kept > 0, 'files are kept');
restart_after_crash();
is(kept_files($db), $kept, 'crash after the apply: kept files are there');
sql($db, q{SELECT notes FROM upg.capture_undo('m')});
restart_after_crash();
is(state_of(), $before, 'crash after the rollback: everything is back');
is(kept_files($db), 0, '... no file is kept any more');
is(damage($db), '', '... tables and indexes are sound');

# 106 rolled back, but never committed
sql($db, "SELECT verdict FROM upg.capture_run('m', \$m\$$migration\$m\$)");
my $after = sql($db, q{SELECT upg_schema_fingerprint('{public}')});
my ($in, $out, $err) = ('', '', '');
my $h = IPC::Run::start([ 'psql', '-XAtq', '-d', $db ], \$in, \$out, \$err);
$in .= "BEGIN; SELECT count(*) FROM upg.capture_undo('m'); CHECKPOINT; SELECT 'here';\n";
$h->pump until $out =~ /here/ || $err;
server_stop('immediate');
eval { $h->finish };
run([ $script, 'start', $server, 'fsync=off', @settings ], \undef, \$out, \$err) or die $err;
is(sql($db, q{SELECT upg_schema_fingerprint('{public}')}), $after, 'crash before the rollback commits: the migration stands');
is(kept_files($db), $kept, '... and its kept files');

# whatever an administrator does meanwhile
sql($db, 'VACUUM FREEZE');
sql($db, 'VACUUM FULL');
sql($db, 'REINDEX DATABASE crash');
sql($db, 'ANALYZE');
sql($db, 'CHECKPOINT');
is(damage($db), '', 'after VACUUM FREEZE, VACUUM FULL, REINDEX: sound');

# a base backup taken meanwhile can roll back by itself
my $b      = $ENV{PATH} =~ /^([^:]+)/ ? $1 : '';
my $copy   = tempdir('upgcopy.XXXXXX', DIR => '/tmp');
my @as     = $> == 0 ? ('runuser', '-u', $ENV{UPG_SERVER_USER} // 'postgres', '--') : ();
my ($uid, $gid) = (getpwnam($ENV{UPG_SERVER_USER} // 'postgres'))[ 2, 3 ];
chown $uid, $gid, $copy if @as;
chdir '/';

sub node
{
	my ($name, $port, @backup) = @_;
	my ($o, $e);
	run([ @as, "$b/pg_basebackup", '-h', $server, '-p', $ENV{PGPORT}, '-U', 'postgres', '-D', "$copy/$name", '-X', 'stream',
			'--checkpoint=fast', @backup ], \undef, \$o, \$e) or die "pg_basebackup: $e";
	run([ @as, "$b/pg_ctl", '-D', "$copy/$name", '-w', '-l', "$copy/$name.log", '-o',
			"-k $copy -p $port -c listen_addresses= -c fsync=off", 'start' ], '>', '/dev/null') or die;
}

sub node_sql
{
	my ($port, $query) = @_;
	local $ENV{PGHOST} = $copy;
	local $ENV{PGPORT} = $port;
	return sql($db, $query);
}

node('copy', 6011);
is(node_sql(6011, q{SELECT upg_schema_fingerprint('{public}')}), $after, 'a base backup holds the migration');
node_sql(6011, q{SELECT notes FROM upg.capture_undo('m')});
{
	local $ENV{PGHOST} = $copy;
	local $ENV{PGPORT} = 6011;
	is(state_of(), $before, '... and rolls it back');
	is(damage($db), '', '... soundly');
}
run([ @as, "$b/pg_ctl", '-D', "$copy/copy", '-m', 'immediate', 'stop' ], '>', '/dev/null');

# 107 a standby follows
is(sql($db, 'SHOW wal_consistency_checking'), 'all', 'all pages are logged for comparison');
node('standby', 6012, '-R');
sql($db, q{SELECT notes FROM upg.capture_undo('m')});
is(state_of(), $before, 'rolled back after all that');
is(damage($db), '', '... soundly');
sql($db, "SELECT verdict FROM upg.capture_run('m2', \$m\$$migration\$m\$)");
sql($db, q{SELECT notes FROM upg.capture_undo('m2')});
sql($db, q{SELECT pg_switch_wal()});
my $lsn = sql($db, 'SELECT pg_current_wal_lsn()');
for (1 .. 200)
{
	last if node_sql(6012, "SELECT pg_last_wal_replay_lsn() >= '$lsn'") eq 't';
	select undef, undef, undef, 0.1;
}
{
	local $ENV{PGHOST} = $copy;
	local $ENV{PGPORT} = 6012;
	is(state_of(), $before, 'the standby has it too');
	eval { sql($db, q{SELECT upg.capture_undo('m3')}) };
	like($@, qr/standby/, '... and refuses to roll back by itself');
	run([ @as, "$b/pg_ctl", '-D', "$copy/standby", '-w', 'promote' ], '>', '/dev/null');
	is(damage($db), '', '... promoted, it is sound');
}
run([ @as, "$b/pg_ctl", '-D', "$copy/standby", '-m', 'immediate', 'stop' ], '>', '/dev/null');
run([ @as, 'rm', '-rf', "$copy/copy", "$copy/standby" ]);

# 111 to the last byte
my $files = sql($db, q{SELECT count(*) FROM pg_ls_dir('base/' || (SELECT oid FROM pg_database WHERE datname = current_database())) f WHERE f ~ '^\d+$'});
sql($db, "SELECT verdict FROM upg.capture_run('m4', 'CREATE TABLE q AS SELECT * FROM big; DROP TABLE q; DROP TABLE big CASCADE')");
sql($db, q{SELECT upg.capture_finalize('m4')});
sql($db, 'CHECKPOINT');
my $left = sql($db, q{
	SELECT count(*) FROM pg_ls_dir('base/' || (SELECT oid FROM pg_database WHERE datname = current_database())) f
	WHERE f ~ '^\d+$' AND pg_filenode_relation(0, f::oid) IS NULL
	  AND (pg_stat_file('base/' || (SELECT oid FROM pg_database WHERE datname = current_database()) || '/' || f)).size > 0
	  AND f::int >= 16384});
is($left, 0, 'finalized: no file is left without owner');
is(kept_files($db), 0, '... no caretaker either');
is(sql($db, 'SELECT count(*) FROM upg.undo_chunks'), 0, '... no image either');

# DROP EXTENSION takes the kept files with it
sql($db, "SELECT verdict FROM upg.capture_run('m5', 'DROP TABLE changed')");
ok(kept_files($db) > 0, 'a dropped table is kept');
sql($db, 'DROP EXTENSION upg CASCADE; CHECKPOINT');
is(kept_files($db), 0, 'DROP EXTENSION: no caretaker is left');
done_testing();
