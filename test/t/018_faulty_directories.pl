# Directories with a fault that concerns the directory or its plan, not a statement:
# each is refused with its place, before anything runs.  And what apply, register, adopt
# and doctor say as text and as JSON.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use JSON::PP qw(decode_json);
use Test::More;
use UpgTest;

server_start();
database('faults');
my ($rc, $out, $err);

sub refused
{
	my ($name, $files, $what, $where, @options) = @_;
	my $dir = files(workdir(), %$files);
	($rc, $out, $err) = upg('up', '-d', 'faults', @options, $dir);
	is($rc, 2, "$name: refused") or diag "$out$err";
	like($err, $what, '... with the reason');
	like($err, $where, '... and the place') if $where;
	is(sql('faults', 'SELECT count(*) FROM upg_status()'), 0, '... before anything ran');
}

# Sqitch's plan
my $head = "%syntax-version=1.0.0\n%project=x\n";
my $who  = '2026-01-01T00:00:00Z A <a@b> # n';
refused('a plan that reverts a change', { 'sqitch.plan' => "$head\na $who\n-a $who\n", 'deploy/a.sql' => 'SELECT 1;' },
	qr/the plan reverts a change/, qr/sqitch\.plan:5/);
refused('a change twice without a tag', { 'sqitch.plan' => "$head\na $who\na $who\n", 'deploy/a.sql' => 'SELECT 1;' },
	qr/UPG-2007|twice|two/, qr/sqitch\.plan:5/);
{
	my $dir = files(workdir(), 'sqitch.conf' => "[core]\n\ttop_dir = db\n", 'sqitch.plan' => "$head\n# a remark\n+a $who\n",
		'db/deploy/a.sql' => 'CREATE TABLE in_top_dir (i int);', 'db/revert/a.sql' => 'DROP TABLE in_top_dir;');
	($rc, $out, $err) = upg('up', '-d', 'faults', $dir);
	is($rc, 0, 'Sqitch files below top_dir are found') or diag $err;
	($rc, $out, $err) = upg('down', '-d', 'faults');
	is(sql('faults', q{SELECT to_regclass('in_top_dir') IS NULL}), 't', '... for the way back, too');
	database('faults2');
}

# Liquibase's changesets
database('lb');
for (
	[ 'a changeset without an author', "--changeset 1\nSELECT 1;\n", 3 ],
	[ 'an option that is not understood', "--changeset me:1 endDelimiter:/\nSELECT 1/\n", 3 ])
{
	my ($name, $text, $line) = @$_;
	my $dir = files(workdir(), '1_a.sql' => "--liquibase formatted sql\n\n$text");
	($rc, $out, $err) = upg('up', '-d', 'lb', $dir);
	is($rc, 2, "$name is refused") or diag "$out$err";
	like($err, qr/1_a\.sql:$line/, '... with its line');
}
{
	my $dir = files(workdir(), '1_a.sql' => "--liquibase formatted sql\n\n--changeset me:1\nSELECT 1;\n--rollback empty\n");
	($rc, $out, $err) = upg('up', '-d', 'lb', $dir);
	is($rc, 0, 'a changeset with an empty way back') or diag $err;
	($rc, $out, $err) = upg('down', '-d', 'lb');
	is($rc, 0, '... is taken back without one') or diag $err;
}

# Flyway, folders
database('others');
for (
	[ 'an undo without its migration', { 'V1__a.sql' => 'SELECT 1;', 'U2__b.sql' => 'SELECT 1;' }, qr/down script "U2__b\.sql" has no up script/ ],
	[ 'a folder with a way back alone', { '1_a/up.sql' => 'SELECT 1;', '1_a/down.sql' => '', '2_b/down.sql' => 'SELECT 1;' }, qr/has no up script/ ],
	[ 'a down file alone', { '1_a.up.sql' => 'SELECT 1;', '1_a.down.sql' => '', '2_b.down.sql' => 'SELECT 1;' }, qr/has no up script/ ])
{
	my ($name, $files, $what) = @$_;
	($rc, $out, $err) = upg('up', '-d', 'others', files(workdir(), %$files));
	is($rc, 2, "$name is refused") or diag "$out$err";
	like($err, $what, '... with its name');
}
{
	my $dir = files(workdir(), 'V1__t.sql' => 'CREATE TABLE fly (i int);', 'V2__i.sql' => 'CREATE INDEX CONCURRENTLY fly_i ON fly (i);',
		'V2__i.sql.conf' => "executeInTransaction=false\n");
	($rc, $out, $err) = upg('up', '-d', 'others', $dir);
	is($rc, 0, "Flyway's script configuration is read") or diag $err;
	is(sql('others', q{SELECT indisvalid FROM pg_index WHERE indexrelid = 'fly_i'::regclass}), 't', '... and obeyed');
}

# dependencies
{
	my $dir = files(workdir(), '1_a.sql' => "-- upg:requires 2_b\nSELECT 1;", '2_b.sql' => "-- upg:requires 1_a\nSELECT 2;", '3_c.sql' => "-- upg:requires 1_a 2_b\nSELECT 3;");
	($rc, $out, $err) = upg('check', '-d', 'others', $dir);
	is($rc, 2, 'a dependency on a later migration: check');
	like($out, qr/1_a\.sql: migration "1_a" requires "2_b", which does not come before it/, '... names both') or diag "$out$err";
	unlike($out, qr/3_c/, '... and not one whose dependencies come before it');
	is(() = $out =~ /requires/g, 1, '... nor another');
}

# psql's commands
database('psql');
for (
	[ "\\set\n",                                   'lists variables',    qr/\\set names no variable/ ],
	[ "\\i\n",                                     'names no file',      qr/\\i names no file/ ],
	[ "\\copy t FROM\n",                           'names no file',      qr/\\copy/ ],
	[ "\\set x 'open\nSELECT 1;\n",                'does not end',       qr/unterminated quoted string/ ],
	[ "\\if true\nSELECT 1;\n\\else\n\\else\n\\endif\n", 'else twice',   qr/\\else after \\else/ ],
	[ "\\if true\nSELECT 1;\n",                    'does not end',       qr/\\if/ ],
	[ "\\endif\n",                                 'without \\if',       qr/\\endif/ ],
	[ "\\elif true\n",                             'without \\if',       qr/\\elif/ ],
	[ "SELECT 1;\n\\.\n",                          'without COPY',       qr/without COPY/ ],
	[ ("\\if true\n" x 200) . ("\\endif\n" x 200), 'nested too deep',    qr/nested more than \d+ deep/ ],
	[ "\\! rm -rf x\n",                            'runs a program',     qr/\\!/ ],
	[ "\\gexec\n",                                 'is not supported',   qr/\\gexec/ ])
{
	my ($text, $why, $what) = @$_;
	my ($command) = $text =~ /(\\\S+)/;
	($rc, $out, $err) = upg('up', '-d', 'psql', files(workdir(), '1_x.sql' => "SELECT 0;\n$text"));
	is($rc, 2, "$command, which $why, is refused") or diag "$out$err";
	like($err, $what, '... with the reason');
	like($err, qr/1_x\.sql:\d+/, '... and the place');
}
is(sql('psql', 'SELECT count(*) FROM upg_status()'), 0, '... none of it ran');
{
	my $dir = files(workdir(), '1_v.sql' => join "\n", '\set one 1', '\set text \'it\\\'s\\n\' :one', "\\set name 'odd name'",
		'CREATE TABLE v (i int, t text, "odd name" int);', 'INSERT INTO v (i, t) VALUES (:one, :\'text\');',
		'UPDATE v SET :"name" = 7;', '\unset one', '\if :{?one}', 'INSERT INTO v VALUES (99);', '\elif :{?name}',
		'INSERT INTO v (i) VALUES (2);', '\else', 'INSERT INTO v VALUES (98);', '\endif', '\echo done', '');
	($rc, $out, $err) = upg('up', '-d', 'psql', $dir);
	is($rc, 0, 'variables, quoted as value and as name, and \if') or diag $err;
	is(sql('psql', 'SELECT i, t, "odd name" FROM v ORDER BY i'), "1|it's\n1|7\n2||", '... do what they do in psql');
	files($dir, '2_copy.sql' => "\\copy v (i) FROM 'data/nonesuch.txt'\n");
	($rc, $out, $err) = upg('up', '-d', 'psql', $dir);
	like($err, qr/could not open file ".*nonesuch\.txt"/, '\copy of a file that is not there');
	like($err, qr/2_copy\.sql:1/, '... has its place');
	files($dir, 'data/nonesuch.txt' => "3\n4\nx\n");
	($rc, $out, $err) = upg('up', '-d', 'psql', $dir);
	is($rc, 1, '\copy of data that do not fit') or diag $err;
	is(sql('psql', 'SELECT count(*) FROM v WHERE i > 2'), 0, '... leaves nothing');
	files($dir, 'data/nonesuch.txt' => "3\n4\n");
	($rc, $out, $err) = upg('up', '-d', 'psql', $dir);
	is($rc, 0, '... and with good ones') or diag $err;
	is(sql('psql', 'SELECT count(*) FROM v WHERE i > 2'), 2, '... brings them');
}

# apply, register, adopt: dry runs, JSON, dependencies
database('single');
my $dir = files(workdir(), '1_a.up.sql' => 'CREATE TABLE a (i int);', '1_a.down.sql' => 'DROP TABLE a;', '2_b.up.sql' => 'CREATE TABLE b (i int);', '2_b.down.sql' => 'DROP TABLE b;');
($rc, $out, $err) = upg('apply', '-d', 'single', '--dry-run', '--json', "$dir/1_a.up.sql");
is(decode_json($out)->{migrations}[0]{state}, 'planned', 'apply --dry-run --json') or diag $out;
is(sql('single', q{SELECT to_regclass('a') IS NULL}), 't', '... changes nothing');
($rc, $out, $err) = upg('apply', '-d', 'single', '--requires', '1_a', '--name', 'second', "$dir/2_b.up.sql");
is($rc, 1, 'apply of what requires an unknown one') or diag $err;
like($err, qr/1_a/, '... names it');
($rc, $out, $err) = upg('apply', '-d', 'single', '--json', "$dir/1_a.up.sql");
is(decode_json($out)->{migrations}[0]{state}, 'applied', 'apply --json');
($rc, $out, $err) = upg('apply', '-d', 'single', '--requires', '1_a', '--name', 'second', "$dir/2_b.up.sql");
is($rc, 0, '... then it is applied') or diag $err;
($rc, $out, $err) = upg('show', '-d', 'single', '--json', 'second');
is_deeply(decode_json($out)->{migration}[0]{requires}, ['1_a'], '... and the ledger has it') or diag $out;
($rc, $out, $err) = upg('apply', '-d', 'single', "$dir/nonesuch.sql");
is($rc, 2, 'apply of a file that is not there') or diag $err;
like($err, qr/nonesuch\.sql/, '... names it');
for my $verb (qw(register adopt))
{
	database("d_$verb");
	($rc, $out, $err) = upg($verb, '-d', "d_$verb", '--dry-run', '--json', $dir);
	is(scalar(@{ decode_json($out)->{migrations} }), 2, "$verb --dry-run --json lists both") or diag "$out$err";
	is(sql("d_$verb", 'SELECT count(*) FROM upg.migrations'), 0, '... and records none');
	($rc, $out, $err) = upg($verb, '-d', "d_$verb", '--json', $dir);
	is($rc, 0, "$verb --json") or diag $err;
	is(sql("d_$verb", 'SELECT count(*) FROM upg.migrations'), 2, '... records both');
	($rc, $out, $err) = upg($verb, '-d', "d_$verb", '--to', 'nonesuch', $dir);
	is($rc, 2, "$verb --to what is not there is refused") or diag "$rc $out$err";
}
($rc, $out, $err) = upg('adopt', '-d', 'd_adopt', $dir);
like($out, qr/nothing to record/, 'adopt again has nothing to record');

# doctor and explain of what is half done
database('half');
$dir = files(workdir(), '1_h.sql' => "CREATE TABLE h (i int); INSERT INTO h VALUES (1), (1);\nVACUUM h;\nCREATE UNIQUE INDEX CONCURRENTLY h_i ON h (i);\n");
($rc, $out, $err) = upg('up', '-d', 'half', $dir);
is($rc, 4, 'a migration that is half done');
($rc, $out, $err) = upg('doctor', '-d', 'half', $dir);
like($out, qr/^warning +unfinished +migration "1_h" is partial and nobody works on it/m, 'doctor names it') or diag $out;
($rc, $out, $err) = upg('explain', '-d', 'half', '1_h');
like($out, qr/some of its steps are done; "upg up" goes on after them/, 'explain says what to do') or diag $out;
like($out, qr/detail: Key \(i\)=\(1\) is duplicated/, '... and why it stopped');
sql('half', q{CREATE ROLE plain LOGIN; GRANT upg_viewer TO plain});
($rc, $out, $err) = upg('explain', '-d', 'half', '-U', 'plain', '--json', '1_h');
is(decode_json($out)->{audit}, undef, 'explain as one who may not read the trail leaves it out') or diag $out;
($rc, $out, $err) = upg('doctor', '-d', 'half', files(workdir(), '1_a.sql' => '', '1_b.sql' => ''));
isnt($rc, 0, 'doctor with a directory that is faulty as a whole') or diag $out;
done_testing();
