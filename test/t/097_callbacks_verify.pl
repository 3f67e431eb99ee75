# Flyway's callbacks, baselines and placeholders; verify scripts; one transaction; upg
# verify; upg status -w.
use strict;
use warnings;
use FindBin;
use JSON::PP;
use lib $FindBin::Bin;
use Test::More;
use UpgTest;

server_start();
my $number = 0;

sub fresh
{
	my ($files) = @_;
	return (database('d' . ++$number), files(workdir(), %$files));
}

sub applied
{
	my ($db) = @_;
	return sql($db, q{SELECT coalesce(string_agg(migration, ' ' ORDER BY ord), '') FROM upg_status() WHERE state = 'applied'});
}

sub tables
{
	my ($db) = @_;
	return sql($db, q{SELECT coalesce(string_agg(relname, ' ' ORDER BY relname), '') FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'});
}

# Callbacks: which, in which order, in which transaction
my @events = qw(beforeMigrate beforeEachMigrate afterEachMigrate afterEachMigrateError beforeRepeatables
  afterVersioned afterMigrate afterMigrateApplied afterMigrateError);
my %flyway = (
	(map { ("$_.sql" => "INSERT INTO log.e (e, x) VALUES ('$_', txid_current());\n") } @events),
	'beforeMigrate__second.sql' => "INSERT INTO log.e (e, x) VALUES ('second \${flyway:filename}', txid_current());",
	'beforeUndo.sql' => 'x', 'beforeClean.sql' => 'x',
	'V1__a.sql' => "CREATE TABLE a (i int); INSERT INTO log.e (e, x) VALUES ('V1', txid_current());",
	'V2__b.sql' => "CREATE TABLE b (i int);", 'R__v.sql' => 'CREATE OR REPLACE VIEW v AS SELECT 1;');
my $log = 'CREATE SCHEMA log; CREATE TABLE log.e (n serial, e text, x bigint)';
sub events
{
	my ($db) = @_;
	my $is = sql($db, q{SELECT coalesce(string_agg(e, ' ' ORDER BY n), '') FROM log.e});
	sql($db, 'TRUNCATE log.e');
	return $is;
}

my ($db, $dir) = fresh(\%flyway);
sql($db, $log);
my ($rc, $out, $err) = upg('up', '-d', $db, '-n', $dir);
is(events($db), '', 'a dry run calls nothing');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 0, 'up') or diag $err;
like($err, qr/callback "beforeUndo\.sql" is left out/, 'an event that upg does not have is named');
unlike($err, qr/beforeClean/, 'an event that cannot happen is not');
is(sql($db, q{SELECT count(DISTINCT x) FROM log.e WHERE n BETWEEN 3 AND 5}), 1, 'callbacks of a migration are in its transaction');
is(events($db), 'beforeMigrate second beforeMigrate__second.sql beforeEachMigrate V1 afterEachMigrate beforeEachMigrate afterEachMigrate '
	  . 'afterVersioned beforeRepeatables beforeEachMigrate afterEachMigrate afterMigrateApplied afterMigrate', 'all, in order');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
like($out, qr/nothing to do/, 'nothing to do');
is(events($db), 'beforeMigrate second beforeMigrate__second.sql afterMigrate', 'the run has its callbacks all the same');
files($dir, 'V3__c.sql' => "CREATE TABLE c (i int);\nSELECT 1/0;");
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 1, 'a migration fails');
is(events($db), 'beforeMigrate second beforeMigrate__second.sql afterEachMigrateError afterMigrateError', 'callbacks of errors; nothing of the failed one');
like($err, qr/V3__c\.sql:2:1/, 'its own error is told');
files($dir, 'V3__c.sql' => 'CREATE TABLE c (i int);', 'afterEachMigrate.sql' => "SELECT 1;\n\nSELECT 1/0;");
($rc, $out, $err) = upg('up', '-d', $db, '--json', $dir);
is($rc, 1, 'a callback fails');
is(decode_json($out)->{error}{code}, 'UPG-2038', 'its code');
like($err, qr/callback "afterEachMigrate" failed: division by zero\n.*afterEachMigrate\.sql:3:1/s, 'where');
is(tables($db), 'a b', 'the migration is taken back with it');
is(sql($db, q{SELECT state || ' ' || sqlstate FROM upg_history('V3__c', 1)}), 'failed 22012', 'and recorded');
files($dir, 'afterEachMigrate.sql' => "SELECT 1;", 'beforeMigrate.sql' => "COMMIT;");
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 2, 'transaction control in a callback');
like($err, qr/beforeMigrate\.sql:1:1/, 'is refused');
is(applied($db) =~ /V3/, '', 'before anything runs');
files($dir, 'beforeMigrate.sql' => "SELECT 1;", 'afterMigrateError.sql' => 'SELECT 1/0;', 'V3__c.sql' => 'boom');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
like($err, qr/warning:.*callback "afterMigrateError" failed.*error:.*syntax error/s, 'a callback of an error that fails itself is a warning');
# several steps, and COPY data
files($dir, 'afterMigrateError.sql' => 'SELECT 1;', 'V3__c.sql' => 'CREATE TABLE c (i int); CREATE INDEX CONCURRENTLY ci ON c (i);',
	'V4__d.sql' => "COPY c FROM stdin;\n1\n2\n\\.\n", 'beforeEachMigrate.sql' => "INSERT INTO log.e (e) VALUES ('b');",
	'afterEachMigrate.sql' => "INSERT INTO log.e (e) VALUES ('a');");
events($db);
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 0, 'steps and COPY data') or diag $err;
is(sql($db, q{SELECT string_agg(e, '' ORDER BY n) FROM log.e WHERE e IN ('a', 'b')}), 'baba', 'have their callbacks, too');

# what callbacks do is not part of the migration, and mostly not in the way of its rollback
($db, $dir) = fresh({ 'V1__a.sql' => 'CREATE TABLE a (i int);', 'V2__b.sql' => 'CREATE TABLE b (i int); ALTER TABLE a ADD j int;',
	'afterEachMigrate.sql' => 'GRANT SELECT ON ALL TABLES IN SCHEMA public TO pg_monitor;' });
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 0, 'a callback that gives privileges') or diag $err;
($rc, $out, $err) = upg('down', '-y', '-d', $db);
is($rc, 0, '... does not stand in the way of the rollback') or diag $err;
is(tables($db), 'a', '... which takes away what the migration made');
is(sql($db, q{SELECT has_table_privilege('pg_monitor', 'a', 'SELECT')}), 't', '... and leaves the privileges on the rest');
files($dir, 'afterEachMigrate.sql' => 'CREATE INDEX IF NOT EXISTS b_i ON b (i);');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 0, 'a callback that hangs an index on what the migration made') or diag $err;
($rc, $out, $err) = upg('down', '-y', '-d', $db);
is($rc, 1, '... does');
like($err, qr/index b_i depends on (column i of )?table b/, '... and is named');
sql($db, 'DROP INDEX b_i');
($rc, $out, $err) = upg('down', '-y', '-d', $db);
is($rc, 0, '... until that is gone') or diag $err;

# Baselines
my %base = ('V1__a.sql' => 'CREATE TABLE a (i int);', 'V2__b.sql' => 'CREATE TABLE b (i int);', 'V3__c.sql' => 'CREATE TABLE c (i int);',
	'B1__x.sql' => 'CREATE TABLE x (i int);', 'B2__ab.sql' => 'CREATE TABLE a (i int); CREATE TABLE b (i int);');
($db, $dir) = fresh(\%base);
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 0, 'baseline') or diag $err;
is(applied($db), 'B2__ab V3__c', 'a fresh database: the latest baseline and what comes after');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
like($out, qr/nothing to do/, 'again: nothing');
is($err, '', 'without a warning');
files($dir, 'V4__d.sql' => 'CREATE TABLE d (i int);');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is(applied($db), 'B2__ab V3__c V4__d', 'later ones');
is($err, '', 'without a warning');
($db) = fresh({});
upg('up', '-d', $db, '--to', '1', files(workdir(), map { ($_ => $base{$_}) } grep { /^V/ } keys %base));
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is(applied($db), 'V1__a V2__b V3__c V4__d', 'a database that has migrations: no baseline');
($db) = fresh({});
($rc, $out, $err) = upg('up', '-d', $db, '--to', '1', $dir);
is(applied($db), 'B1__x', '--to before the latest baseline: the one before');

# Placeholders of the configuration; what is given wins
($db, $dir) = fresh({ 'V1__a.sql' => q{CREATE TABLE "${t.name}" (c text DEFAULT '${who}');},
	'flyway.conf' => "# x\nflyway.url=jdbc:x\nflyway.placeholders.t.name = conf table\nflyway.placeholders.who=conf\n" });
($rc, $out, $err) = upg('up', '-d', $db, '--set', 'who=me', $dir);
is($rc, 0, 'placeholders') or diag $err;
is(sql($db, q{SELECT column_default FROM information_schema.columns WHERE table_name = 'conf table'}), "'me'::text", 'from flyway.conf, and from --set');
($db, $dir) = fresh({ 'V1__a.sql' => 'CREATE TABLE ${t} (i int);', 'flyway.toml' => "[flyway]\nurl = \"x\"\n[flyway.placeholders]\nt = \"toml\"\n[other]\nt = \"no\"\n" });
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is(tables($db), 'toml', 'from flyway.toml') or diag $err;

# Verify scripts of Sqitch
my %sqitch = ('sqitch.plan' => "%syntax-version=1.0.0\n%project=x\n\na 2026-01-01T00:00:00Z A <a\@b> # x\n\@v1 2026-01-01T00:00:00Z A <a\@b> # t\nb [a\@v1] 2026-01-01T00:00:00Z A <a\@b> # x\n",
	'deploy/a.sql' => "BEGIN;\nCREATE TABLE a (i int);\nCOMMIT;\n", 'revert/a.sql' => 'DROP TABLE a;',
	'verify/a.sql' => "-- Verify x:a on pg\nBEGIN;\nINSERT INTO a VALUES (1);\nSELECT i FROM a WHERE false;\nROLLBACK;\n",
	'deploy/b.sql' => "CREATE TABLE b (i int);", 'revert/b.sql' => 'DROP TABLE b;',
	'verify/b.sql' => "BEGIN;\nSELECT i,\n  nothing FROM b WHERE false;\nROLLBACK;\n");
($db, $dir) = fresh(\%sqitch);
($rc, $out, $err) = upg('up', '-d', $db, '--to', '@v1', '--verify-scripts', $dir);
is($rc, 0, 'verify passes; --to a tag') or diag $err;
is(applied($db), 'a', 'up to the tag');
is(sql($db, 'SELECT count(*) FROM a'), 0, 'nothing of the verify script stays');
($rc, $out, $err) = upg('up', '-d', $db, '--verify-scripts', '--json', $dir);
is($rc, 1, 'verify fails');
is(decode_json($out)->{error}{code}, 'UPG-2037', 'its code');
like($err, qr/the verify script of "b" fails: column "nothing" does not exist\n.*verify\/b\.sql:2:1/s, 'where');
is(applied($db), 'a', 'the change is taken back');
is(tables($db),  'a', 'all of it');
is(sql($db, q{SELECT state FROM upg_history('b', 1)}), 'failed', 'and recorded');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 0, 'without --verify it is not run') or diag $err;
($rc, $out, $err) = upg('verify', '-d', $db, $dir);
is($rc, 8, 'upg verify runs it');
like($out, qr/^verify +b: .*nothing/m, 'and names the change');
unlike($out, qr/^\w+ +a:/m, 'and no other');
files($dir, 'verify/b.sql' => 'SELECT i FROM b WHERE false;');
($rc, $out, $err) = upg('verify', '-d', $db, $dir);
is($rc, 0, 'mended') or diag $out;
like($out, qr/in order: 2 migrations, 2 verify scripts/, 'all in order');
# of several steps: it stays, and is told
files($dir, 'sqitch.plan' => $sqitch{'sqitch.plan'} . "c 2026-01-01T00:00:00Z A <a\@b> # x\n", 'deploy/c.sql' => 'CREATE INDEX CONCURRENTLY ai ON a (i);', 'verify/c.sql' => 'SELECT 1/0;');
($rc, $out, $err) = upg('up', '-d', $db, '--verify-scripts', $dir);
is($rc, 8, 'verify fails after steps');
like($err, qr/stays applied.*upg down c/, 'what to do');
is(applied($db), 'a b c', 'it stays');
SKIP:
{
	skip 'sqitch is not installed', 1 unless grep { -x "$_/sqitch" } split /:/, $ENV{PATH};
	my $target = "db:pg://$ENV{PGUSER}\@:$ENV{PGPORT}/" . database('real') . "?host=$ENV{PGHOST}";
	files($dir, 'deploy/c.sql' => 'SELECT 1;', 'verify/c.sql' => 'SELECT 1;', 'sqitch.conf' => "[core]\n engine = pg\n[user]\n name = A\n email = a\@b\n");
	local $ENV{HOME} = $dir;
	IPC::Run::run([ 'sqitch', '--chdir', $dir, 'deploy', '--verify', $target ], \undef, \my $said, \my $why);
	is($?, 0, 'the real Sqitch takes the same scripts') or diag "$said $why";
}

# upg verify: records and files
($db, $dir) = fresh({ map { ("$_.sql" => "CREATE TABLE t$_ (i int);") } 1 .. 5 });
upg('up', '-d', $db, $dir);
($rc, $out, $err) = upg('verify', '-d', $db, $dir);
is($rc, 0, 'in order') or diag $out;
files($dir, '1.sql' => 'CREATE TABLE t1 (i bigint);', '2.sql' => "-- layout\nCREATE TABLE  t2 (i int);", '3.sql' => "CREATE TABLE t3 (i int); '");
unlink "$dir/4.sql";
sql($db, q{SET session_replication_role = replica; UPDATE upg.migrations SET up_sql = 'x' WHERE name = '5';
	INSERT INTO upg.migrations (name, state, up_size, up_sha256, meaning_version, registered_at, registered_by, applied_order, applied_at)
	VALUES ('forged', 'applied', 0, '\x00', 1, now(), 'me', 99, now())});
($rc, $out, $err) = upg('verify', '-d', $db, $dir);
is($rc, 8, 'not in order');
like($out, qr/^file +1: changed after it was applied.*\n +at: .*1\.sql/m, 'a changed file');
unlike($out, qr/^\w+ +2:/m, 'layout is no change');
like($out, qr/^file +3: .*not closed|^file +3: /m, 'a file that cannot be read');
like($out, qr/^file +4: applied, but not in the directory/m, 'a file that is gone');
like($out, qr/^record +5: the script in the books is not the one/m, 'a damaged record');
like($out, qr/^record +forged: .*audit trail knows nothing/m, 'a forged record');
($rc, $out, $err) = upg('verify', '-d', $db, '--json', $dir);
my $doc = decode_json($out);
is($doc->{error}{code}, 'UPG-2033', 'code');
is_deeply([ sort map { "$_->{check} $_->{migration}" } @{ $doc->{faults} } ],
	[ 'file 1', 'file 3', 'file 4', 'file forged', 'record 5', 'record forged' ], 'as JSON');
($rc, $out, $err) = upg('verify', '-d', $db);
is($rc, 8, 'records alone');
like($out, qr/record +5/, 'without a directory');
($rc, $out, $err) = upg('verify', '-d', 'nowhere', $dir);
is($rc, 11, 'no database');
sql('postgres', 'CREATE ROLE looker LOGIN; GRANT upg_viewer TO looker; CREATE ROLE nobody1 LOGIN');
($rc, $out, $err) = upg('verify', '-d', $db, '-U', 'looker');
is($rc, 8, 'a viewer may look');
($rc, $out, $err) = upg('verify', '-d', $db, '-U', 'nobody1');
is($rc, 9, 'others may not');
# half done
($db, $dir) = fresh({ '1.sql' => 'CREATE TABLE a (i int); CREATE INDEX CONCURRENTLY ai ON a (i); SELECT 1/0;' });
upg('up', '-d', $db, $dir);
($rc, $out, $err) = upg('verify', '-d', $db, $dir);
like($out, qr/^record +1: some of its steps are done/m, 'half done');

# One transaction
my %single = ('0.sql' => 'CREATE TABLE z AS SELECT txid_current() AS x;', '1.sql' => 'CREATE TABLE a (i int);', '2.sql' => "COPY a FROM stdin;\n1\n\\.\n", '3.sql' => 'CREATE TABLE b AS SELECT txid_current() AS x FROM a;');
($db, $dir) = fresh(\%single);
($rc, $out, $err) = upg('up', '-d', $db, '--single-transaction', $dir);
is($rc, 0, 'single transaction') or diag $err;
is(applied($db), '0 1 2 3', 'all applied');
is(sql($db, q{SELECT z.x = b.x FROM z, b}), 't', 'in one transaction');
($rc, $out, $err) = upg('up', '-d', $db, '--single-transaction', $dir);
like($out, qr/nothing to do/, 'again: nothing');
($db, $dir) = fresh({ %single, '4.sql' => 'SELECT 1/0;' });
($rc, $out, $err) = upg('up', '-d', $db, '--single-transaction', '--json', $dir);
is($rc, 1, 'one fails');
$doc = decode_json($out);
is_deeply([ $doc->{applied}, scalar @{ $doc->{migrations} } ], [ 0, 0 ], 'none counts as applied');
like($err, qr/all of it is taken back.*4\.sql:1:1/s, 'where, and that all is taken back');
is(applied($db) . tables($db), '', 'nothing is there');
is(sql($db, q{SELECT string_agg(name || state, ' ') FROM upg_history()}), '4failed', 'the failure is recorded');
is(sql($db, q{SELECT state FROM upg.upgrades}), 'failed', 'so is the run');
files($dir, '4.sql' => 'SELECT 1;', '5.sql' => "COPY a FROM stdin;\nx\n\\.\n");
($rc, $out, $err) = upg('up', '-d', $db, '--single-transaction', $dir);
is($rc, 1, 'one that the client drives fails');
is(applied($db) . tables($db), '', 'nothing is there');
files($dir, '5.sql' => 'CREATE TABLE d (i int); CREATE INDEX CONCURRENTLY di ON d (i);');
($rc, $out, $err) = upg('up', '-d', $db, '--single-transaction', $dir);
is($rc, 2, 'one that no transaction can hold');
like($err, qr/"5" cannot share a transaction/, 'is named');
is(applied($db) . tables($db), '', 'nothing is there');
files($dir, '5.sql' => 'CREATE TABLE p (i int PRIMARY KEY); CREATE TABLE f (i int REFERENCES p DEFERRABLE INITIALLY DEFERRED); INSERT INTO f VALUES (1);');
($rc, $out, $err) = upg('up', '-d', $db, '--single-transaction', $dir);
is($rc, 1, 'what fails at the commit');
is(applied($db) . tables($db), '', 'nothing is there');
unlike($out, qr/^applied/m, 'and nothing was called applied');
files($dir, '5.sql' => 'SELECT pg_sleep(30);');
my ($h, $ho, $he) = upg_start('up', '-d', $db, '--single-transaction', $dir);
for (1 .. 100) { last if sql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'}); select undef, undef, undef, 0.1 }
$h->signal('INT');
$h->finish;
is($h->full_result >> 8, 130, 'interrupted');
is(applied($db) . tables($db), '', 'nothing is there');
is(sql($db, q{SELECT count(*) FROM upg.upgrades WHERE state = 'executing'}), 0, 'no run is left open');

# status -w
($h, $ho, $he) = upg_start('status', '-w', '-d', $db, '--interval=100ms', '--json', $dir);
for (1 .. 100) { last if ($$ho =~ tr/\n//) > 2; $h->pump_nb; select undef, undef, undef, 0.05 }
$h->signal('INT');
$h->finish;
my @looks = split /\n/, $$ho;
cmp_ok(scalar @looks, '>', 2, 'status -w --json: one object a line');
is(decode_json($_)->{command}, 'status', 'each is whole') for @looks[ 0, -1 ];
is($h->full_result >> 8, 0, 'exit code 0');
($rc, $out, $err) = upg('-w', 'status', '-d', $db, $dir);
is($rc, 0, '-w before the command is --no-password') or diag $err;
($rc, $out, $err) = upg('status', '--help');
like($out, qr/-w, --watch/, 'help: -w');
unlike($out, qr/-w, --no-password/, 'help: only one');

# Progress: a line that is rewritten on a terminal, plain lines elsewhere
($db, $dir) = fresh({ (map { ("$_.sql" => 'SELECT pg_sleep(0.5);') } 1 .. 5),
	'6.sql' => "CREATE TABLE big AS SELECT g AS i, repeat('x', 900) AS filler FROM generate_series(1, 4000) g;\n"
	  . "CREATE FUNCTION slow(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM pg_sleep(0.001); RETURN i; END';\n"
	  . "CREATE INDEX CONCURRENTLY bi ON big (slow(i));" });
SKIP:
{
	skip 'script(1) is not there, or opens no terminal (is devpts mounted?)', 4
	  if system('script -qec true /dev/null >/dev/null 2>&1 </dev/null');
	my $seen = `TERM=xterm script -qec '$UPG up -d $db $dir' /dev/null 2>&1 </dev/null`;
	is($?, 0, 'on a terminal') or diag $seen;
	like($seen, qr/\r\e\[Kapplying 4 \(4 of 6, about 0:0\d left\)/, 'the time that is left of the run');
	like($seen, qr/6: step 2 of 2  [a-z: ]+: \d+%/, 'how far an index is');
	like($seen, qr/6: step 2 of 2  [a-z: ]+: \d+%, about \d+:\d\d left/, 'and the time that is left of it');
}
($db) = fresh({});
($rc, $out, $err) = upg('up', '-d', $db, '--to', '3', $dir);
is($err, '', 'elsewhere there is no progress line');
like($out, qr/\Aapplied +1  \d+ ms\napplied +2  \d+ ms\napplied +3  \d+ ms\n/, 'but a plain line for each');
done_testing();
