# What a person does when a migration stopped: take back what is half done, read who
# was in the way, ask again.  And the answers to typing errors, as JSON too.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use JSON::PP qw(decode_json);
use Test::More;
use UpgTest;

server_start();
my ($rc, $out, $err);

# --- the half-done migration is the latest
my %half = (
	'1_t.sql' => 'CREATE TABLE t (i int); INSERT INTO t VALUES (1), (1);',
	'2_i.sql' => "CREATE INDEX CONCURRENTLY one ON t (i);\nCREATE UNIQUE INDEX CONCURRENTLY two ON t (i);\n");
my $dir = files(workdir(), %half);

sub states
{
	my ($db) = @_;
	return sql($db, q{SELECT string_agg(migration || ' ' || state, ', ' ORDER BY migration) FROM upg_status()});
}

database('half');
($rc, $out, $err) = upg('up', '-d', 'half', $dir);
is($rc, 4, 'a failure between steps') or diag $err;
like($err, qr/next: or take back what is there of it: upg down 2_i/, '... says how to get rid of the rest');
is(() = $err =~ /next: upg explain 2_i/g, 1, '... and nothing twice') or diag $err;
($rc, $out, $err) = upg('down', '-d', 'half', '--dry-run');
like($out, qr/^planned +2_i/m, 'down would take back the half-done one') or diag "$out$err";
unlike($out, qr/1_t/, '... and not the one before it');
unlink "$dir/2_i.sql";
($rc, $out, $err) = upg('up', '-d', 'half', $dir);
like($err, qr/warning: migration "2_i" is half done, and not in directory/, 'up warns of a half-done one whose file is gone') or diag $err;
($rc, $out, $err) = upg('status', '-d', 'half', $dir);
like($out, qr/^vanished +2_i +\(half done/m, '... so does status') or diag $out;
($rc, $out, $err) = upg('doctor', '-d', 'half', $dir);
like($out, qr/files +migration "2_i" is half done, but its file is gone/, '... and doctor') or diag $out;
($rc, $out, $err) = upg('down', '-d', 'half');
is($rc, 0, 'down without a name') or diag $err;
is(states('half'), '1_t applied, 2_i rolled_back', '... takes back the half-done one, and no more');

files($dir, %half, '0_z.sql' => 'CREATE TABLE z ();');
database('half_to');
upg('up', '-d', 'half_to', $dir);
is(states('half_to'), '0_z applied, 1_t applied, 2_i partial', 'half done after two that are applied');
($rc, $out, $err) = upg('down', '-d', 'half_to', '--to', '0_z');
is($rc, 0, 'down to a point') or diag $err;
is(states('half_to'), '0_z applied, 1_t rolled_back, 2_i rolled_back', '... takes it back with the others') or diag $out;

database('half_sql');
upg('up', '-d', 'half_sql', $dir);
sql('half_sql', q{SELECT upg_apply('later', 'CREATE TABLE l ()')});
sql('half_sql', q{SELECT upg_apply('last', 'CREATE TABLE m ()')});
is(sql('half_sql', q{SELECT string_agg(migration, ' ') FROM upg_rollback(to_name => 'later')}), 'last',
	'upg_rollback() to a point leaves what stopped before it');
is(sql('half_sql', q{SELECT migration FROM upg_rollback()}), '2_i', '... and without a name takes the half-done one first');
is(sql('half_sql', q{SELECT migration FROM upg_rollback()}), 'later', '... then the latest');

database('half_fail');
($rc, $out, $err) = upg('up', '-d', 'half_fail', '--on-fail=rollback', $dir);
is($rc, 3, '--on-fail=rollback when a migration stops half-way') or diag "$out$err";
unlike(states('half_fail'), qr/applied|partial/, '... takes that back, too') or diag "$out$err";
like($err, qr/run "upg up \S+" again$/m, '... and does not promise to go on there') or diag $err;

# --- rows that need a value for a column that comes back
database('fill');
$dir = files(workdir(), '1_t.sql' => q{CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL); INSERT INTO t VALUES (1, 'a')},
	'2_drop.sql' => 'ALTER TABLE t DROP COLUMN v');
upg('up', '-d', 'fill', $dir);
sql('fill', 'INSERT INTO t VALUES (2)');
($rc, $out, $err) = upg('down', '-d', 'fill');
is($rc, 1, 'a column without a value for new rows');
like($err, qr/migration "2_drop" is not taken back: later changes/, '... names the migration') or diag $err;
like($err, qr/hint: Say what these rows get: the option \{"fill": \{"public\.t\.v": "value"\}\}, or --fill\./, '... and says how to go on');
($rc, $out, $err) = upg('down', '-d', 'fill', '--fill', 'public.t.v=b');
is($rc, 0, '... which works') or diag $err;
is(sql('fill', q{SELECT string_agg(v, ',' ORDER BY id) FROM t}), 'a,b', '... the rows have it');

# --- finalized
sql('fill', q{SELECT upg_apply('f', 'CREATE TABLE f ()')});
upg('finalize', '-d', 'fill', 'f');
($rc, $out, $err) = upg('down', '-d', 'fill');
is($rc, 1, 'a rollback after finalize');
like($err, qr/Its undo was given up by upg_finalize\(\)/, '... says why there is none') or diag $err;

# --- locks and time limits: the script is not at fault
database('locked');
$dir = files(workdir(), '1_t.sql' => 'CREATE TABLE t (i int);');
upg('up', '-d', 'locked', $dir);
files($dir, '2_l.sql' => "CREATE TABLE u ();\nALTER TABLE t ADD j int;");
my $holder = hold('locked', 'LOCK TABLE t IN ACCESS SHARE MODE');
{
	local $ENV{PGOPTIONS} = '-c upg.lock_retries=1 -c upg.lock_timeout=100ms';
	($rc, $out, $err) = upg('up', '-d', 'locked', $dir);
}
is($rc, 1, 'a lock that is not got');
like($err, qr/next: run "upg up \S+" again when the cause has passed; it goes on there/, '... blames nobody') or diag $err;
unlike($err, qr/mend/, '... least of all the script');
($rc, $out, $err) = upg('explain', '-d', 'locked', '2_l');
like($out, qr/nothing of it is there; run "upg up" again when the cause has passed/, 'explain says so, too') or diag $out;
like($out, qr/^    waited for locks: \d+ ms in 2 tries, t is held by process \d+ of role/m, '... and tells the wait in words');
($rc, $out, $err) = upg('up', '-d', 'locked', '--timeout=1s', $dir);
is($rc, 124, 'the time is over');
like($err, qr/next: upg explain 2_l/, '... and where it is written who was in the way') or diag $err;

# background work that outlives the client: no place of an older failure
files($dir, '2_l.sql' => "CREATE INDEX CONCURRENTLY ti ON t (i);\n\n");
release($holder);
$holder = hold('locked', 'INSERT INTO t VALUES (1)');
($rc, $out, $err) = upg('up', '-d', 'locked', '--timeout=1s', $dir);
is($rc, 124, 'the time is over while a worker runs');
unlike($err, qr/2_l\.sql:\d/, '... which is nothing that failed somewhere') or diag $err;
like($err, qr/detail: Migration "2_l" goes on in the background\./, '... but goes on');
like($err, qr/next: upg wait 2_l/, '... and can be waited for');
release($holder);
($rc, $out, $err) = upg('wait', '-d', 'locked', '2_l');
is($rc, 0, '... which ends well') or diag $err;
($rc, $out, $err) = upg('history', '-d', 'locked', '2_l');
like($out, qr/migration +step +line/, 'the history tells steps from migrations') or diag $out;

# --- typing errors are answered in JSON, if that was asked for
for my $args ([ 'up', '--json', '--bogus' ], [ 'bogus', '--json' ], [ '--json', 'audit', 'nope' ], [ 'plan', '--json', '--to' ])
{
	($rc, $out, $err) = upg(@$args);
	is($rc, 2, "@$args");
	my $json = eval { decode_json($out) };
	is($json->{exit_code}, 2, '... is answered in JSON') or diag "$out$err";
	is($json->{error}{code}, 'UPG-2000', '... with the error');
}

# --- the plan of a file with data
database('plan');
$dir = files(workdir(), '1_c.sql' => "CREATE TABLE c (i int);\nCOPY c FROM stdin;\n1\n\\.\n", '2_n.sql' => 'CREATE TABLE n (); NOTIFY n;');
($rc, $out, $err) = upg('plan', '-d', 'plan', $dir);
like($out, qr/1_c .*, undo +\{driven by the client\}/, 'data are no reason for no undo') or diag $out;
($rc, $out, $err) = upg('plan', '-d', 'plan', '--undo=none', $dir);
like($out, qr/1_c .*, no way back/, '... but a word is') or diag $out;
($rc, $out, $err) = upg('plan', '-d', 'plan', '--json', $dir);
my $plan = decode_json($out)->{plan};
is_deeply($plan->[0]{notes}, ['driven by the client'], 'notes are an array') or diag $out;
is_deeply($plan->[0]{irreversible}, [], '... and what cannot be taken back');
is(scalar @{ $plan->[1]{irreversible} }, 1, '... with an item for each');

# --- an applied file that cannot be read, or differs in layout only
database('fly');
$dir = files(workdir(), 'V1__a.sql' => 'CREATE TABLE a (i ${typ});');
($rc, $out, $err) = upg('up', '-d', 'fly', '--set', 'typ=int', $dir);
is($rc, 0, 'a placeholder with a value') or diag $err;
($rc, $out, $err) = upg('up', '-d', 'fly', $dir);
is($rc, 2, '... and without one, when it is applied');
like($err, qr/error: placeholder \$\{typ\} has no value/, '... is no change of the file') or diag $err;
($rc, $out, $err) = upg('status', '-d', 'fly', $dir);
like($out, qr/V1__a +\(the file cannot be read: placeholder/, '... nor for status') or diag $out;
database('layout');
$dir = files(workdir(), '1_a.sql' => 'CREATE TABLE a (i int);');
upg('up', '-d', 'layout', $dir);
files($dir, '1_a.sql' => "-- a comment\nCREATE TABLE a (i   int);");
($rc, $out, $err) = upg('status', '-d', 'layout', $dir);
like($out, qr/changed +1_a +\(only comments or layout differ/, 'status tells layout from meaning') or diag $out;

# --- new migrations come after each other, also within a second
$dir = workdir();
upg('new', $_, $dir) for qw(first second another);
opendir my $files, $dir or die $!;
my @names = sort grep { /\.sql$/ } readdir $files;
is(join(' ', map { s/^\d+_|\.up\.sql$//gr } @names), 'first second another', 'three at once keep their order') or diag "@names";

# --- names that the ledger would not take are refused before anything runs
database('long');
my $long = 'n' x 250;
$dir = files(workdir(), 'changelog.sql' => "--liquibase formatted sql\n--changeset me:1\nCREATE TABLE one ();\n--changeset $long:2\nCREATE TABLE two ();\n");
($rc, $out, $err) = upg('up', '-d', 'long', $dir);
is($rc, 2, 'a name of more than 255 characters') or diag "$out$err";
like($err, qr/It is longer than 255 characters/, '... is refused with the reason');
is(sql('long', q{SELECT to_regclass('one') IS NULL}), 't', '... before anything runs');
done_testing();
