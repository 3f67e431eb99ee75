# Files that are wrong in themselves: each gets a clear error, and nothing is lost.
use strict;
use warnings;
use utf8;
use Encode qw(encode);
use FindBin;
use lib $FindBin::Bin;
use Test::More;
use UpgTest;

server_start();
my $db = database('bad');
my ($rc, $out, $err);

# A bad file behind a good one: refused with what and where, the good one not applied.
sub refused
{
	my ($name, $text, $what, $where, %opt) = @_;
	my $dir = files(workdir(), '1_good.sql' => 'CREATE TABLE good (i int);', '2_bad.sql' => $text);
	($rc, $out, $err) = upg('up', '-d', $db, $dir);
	is($rc, $opt{rc} // 2, "$name: exit code") or diag $err;
	like($err, $what, "$name: says what");
	like($err, $where, "$name: says where");
	is(sql($db, q{SELECT to_regclass('good') IS NULL}), 't', "$name: nothing ran");
}

refused('not UTF-8', "SELECT 1;\nSELECT 'caf\xe9';\n", qr/not valid UTF-8/, qr/2_bad\.sql:2/);
like($err, qr/0xe9 at offset 21/, 'the byte and its offset are named');
refused('UTF-16', "\xff\xfeS\0E\0", qr/not valid UTF-8|zero byte/, qr/2_bad\.sql:1/);
refused('zero byte', "SELECT 1;\n\n\0", qr/holds a zero byte/, qr/2_bad\.sql:3/);
refused('unterminated quote', "SELECT 1;\nSELECT 'abc;\nSELECT 2;\n", qr/unterminated quoted string/, qr/2_bad\.sql:2/);
refused('unterminated identifier', "SELECT \"abc;\n", qr/unterminated quoted identifier/, qr/2_bad\.sql:1/);
refused('unterminated dollar quote', "SELECT 1;\n\nDO \$x\$ BEGIN END \$y\$;\n", qr/unterminated dollar-quoted string/, qr/2_bad\.sql:3/);
refused('unterminated comment', "/* /* */\nSELECT 1;\n", qr/unterminated comment/, qr/2_bad\.sql:1/);

# layout-free files
my $dir = files(workdir(), '1_empty.sql' => '', '2_comment.sql' => "-- nothing\n/* here */\n", '3_bom.sql' => "\xef\xbb\xbfCREATE TABLE bom (i int);\n",
	'4_crlf.sql' => "CREATE TABLE crlf (i int);\r\nSELECT 1;\r\n", '5_no_semicolon.sql' => 'CREATE TABLE nosemi (i int)');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 0, 'empty, comment, BOM, CR LF, no last semicolon go up') or diag $err;
is(() = $out =~ /\(no statement\)/g, 2, 'the two without a statement are said to be so');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
like($out, qr/nothing to do: 5 applied/, 'and are equal the next time');
upg('down', '-d', $db, '--all');

# syntax errors at the first, middle and last statement
for my $at (1 .. 3)
{
	my @statements = map { $_ == $at ? 'CREATE TABEL t (i int);' : "CREATE TABLE s$_ (i int);" } 1 .. 3;
	$dir = files(workdir(), "syntax$at.sql" => join("\n", @statements) . "\n");
	($rc, $out, $err) = upg('up', '-d', $db, $dir);
	is($rc, 1, "syntax error in statement $at");
	like($err, qr/syntax$at\.sql:$at:8/, '... with line and column');
	like($err, qr/^\s+CREATE TABEL t \(i int\);\n\s+\^/m, '... and the line with a caret');
	is(sql($db, q{SELECT count(*) FROM pg_class WHERE relname ~ '^s[123]$'}), 0, '... nothing of it is there');
}

# an error far out on a long line: a part of the line around it
$dir = files(workdir(), 'long.sql' => 'SELECT ' . join(', ', map { "'" . encode('UTF-8', "gr\x{fc}n") . " $_'" } 1 .. 60) . ', nonesuch, ' . ('1, ' x 100) . "2;\n");
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 1, 'an error on a long line');
my ($part, $caret) = $err =~ /^(\s+\S.*nonesuch.*)\n(\s+)\^$/m;
ok(defined $part, '... shows the part around it') or diag $err;
$part = Encode::decode('UTF-8', $part // '');
cmp_ok(length $part, '<', 140, '... which is short');
is(substr($part, length $caret, 8), 'nonesuch', '... with a caret below what is meant') or diag $err;

# names
my $n = 0;
my %names = ('x' => 0, 'n' x 63 => 0, 'n' x 64 => 0, "quo'te\"s" => 0, "new\nline" => 2, 'emoji 😀' => 0, 'a b;DROP TABLE x' => 0, 'x..y' => 0);
for my $name (sort keys %names)
{
	my $bytes = encode('UTF-8', $name);
	my $one = database('n' . ++$n);
	$dir = files(workdir(), "$bytes.sql" => 'CREATE TABLE t (i int);');
	($rc, $out, $err) = upg('up', '-d', $one, '--undo=none', $dir);
	(my $shown = substr(encode('UTF-8', $name), 0, 20)) =~ s/\n/\\n/g;
	next if $names{$name} == 2 && is(!!($rc == 0 || $rc == 2 || $rc == 1), 1, "name $shown: settled");
	is($rc, 0, "name $shown") or diag $err;
	is(sql($one, 'SELECT octet_length(migration) FROM upg_status()'), length($bytes), '... is kept whole');
	($rc, $out, $err) = upg('down', '-d', $one, $bytes);
	is($rc, 1, '... a rollback without a way back is refused');
}
($rc, $out, $err) = upg('apply', '-d', $db, '--name', 'n' x 10000, "$dir/" . (glob("$dir/*.sql"))[0] =~ s/.*\///r);
is($rc, 2, 'a name of 10,000 characters is refused');
ok(length($err) < 2000, '... in a message of sane length');
$dir = files(workdir(), "bad\xff.sql" => 'SELECT 1;');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 2, 'a file name that is not UTF-8 is refused');

# the set of files
$dir = files(workdir(), '1_a.sql' => '', '01_b.sql' => '');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 2, 'a number used twice is refused');
like($err, qr/01_b\.sql.*1_a\.sql|1_a\.sql.*01_b\.sql/s, '... naming both files');
$dir = files(workdir(), '1626194317_b.sql' => '', '1626194317_a.sql' => '');
($rc, $out, $err) = upg('plan', '-d', $db, $dir);
is($rc, 0, 'a time stamp used twice is no error');
like($err, qr/two migrations have the time stamp 1626194317: "1626194317_a" and "1626194317_b"/, '... but a warning');
$dir = files(workdir(), '1_a.up.sql' => '', '1_a.sql' => '');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 2, 'two up scripts of one migration are refused');
$dir = files(workdir(), '1_a.up.sql' => '', '2_b.down.sql' => '');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 2, 'a down without an up is refused');
like($err, qr/2_b\.down\.sql/, '... naming the file');
($rc, $out, $err) = upg('up', '-d', $db, '/nonexistent');
is($rc, 2, 'a missing directory is refused');
$dir = workdir();
symlink('loop.sql', "$dir/loop.sql");
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 2, 'a loop of symbolic links is refused');
like($err, qr/loop\.sql.*Too many levels/s, '... naming it');
$dir = files(workdir(), '1_a.sql' => 'SELECT 1;');
mkdir "$dir/2_dir.sql";
($rc, $out, $err) = upg('plan', '-d', $db, $dir);
is($rc, 0, 'a directory that is called like a file is left alone') or diag $err;

# vanished and changed
$db  = database('changed');
$dir = files(workdir(), map { ("${_}_m.sql" => "CREATE TABLE m$_ (i int);\n") } 1 .. 4);
upg('up', '-d', $db, $dir);
unlink "$dir/2_m.sql";
files($dir, '3_m.sql' => "-- edited\nCREATE  TABLE m3 (i int);\n");
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 0, 'a vanished file and a layout edit are no errors') or diag $err;
like($err, qr/warning: migration "2_m" is applied but not in directory/, '... the vanished one is named');
like($err, qr/warning: migration "3_m" was edited after it was applied; its meaning is the same/, '... the edited one, too');
files($dir, '4_m.sql' => "CREATE TABLE m4 (j int);\n", '5_m.sql' => "CREATE TABLE m5 (i int);\n");
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 2, 'a change of meaning is refused');
like($err, qr/"4_m" was changed after it was applied.*4_m\.sql.*SHA-256 of the file: \w{64}, of what was applied: \w{64}/s, '... with both checksums');
is(sql($db, q{SELECT to_regclass('m5') IS NULL}), 't', '... and nothing else ran');
($rc, $out, $err) = upg('plan', '-d', $db, $dir);
is($rc, 2, '... which means the same to plan');
($rc, $out, $err) = upg('apply', '-d', $db, '--name=4_m', "$dir/4_m.sql");
is($rc, 2, '... and to apply') or diag $err;
($rc, $out, $err) = upg('status', '-d', $db, $dir);
like($out, qr/^changed     4_m/m, 'status shows the change');
like($out, qr/^vanished    2_m/m, 'status shows what vanished');

# out of order
$db  = database('ooo');
$dir = files(workdir(), '1_a.sql' => '', '3_c.sql' => '');
upg('up', '-d', $db, $dir);
files($dir, '2_b.sql' => 'CREATE TABLE b (i int);');
($rc, $out, $err) = upg('up', '-d', $db, '--out-of-order=refuse', $dir);
is($rc, 2, 'out of order: refuse');
($rc, $out, $err) = upg('up', '-d', $db, '--dry-run', $dir);
like($err, qr/warning: migration "2_b" comes before/, 'out of order: warn is the default');
like($out, qr/^planned     2_b/m, '--dry-run shows it');
is(sql($db, q{SELECT to_regclass('b') IS NULL}), 't', '--dry-run changes nothing');
($rc, $out, $err) = upg('up', '-d', $db, '--out-of-order=allow', $dir);
is("$rc $err", '0 ', 'out of order: allow is silent');
($rc, $out, $err) = upg('up', '-d', $db, '--to', '9_x', $dir);
is($rc, 2, '--to an unknown migration is refused');

# control bytes of a file do not reach the terminal
$dir = files(workdir(), "1_\e[31m.sql" => "SELECT \e[31m boom;");
($rc, $out, $err) = upg('up', '-d', $db, $dir);
unlike($out . $err, qr/\e/, 'no escape sequence of a file reaches the terminal');
# a down script that cannot be read is no reason to apply nothing: there is the undo
$db  = database('unread_down');
$dir = files(workdir(), '1_a/up.sql' => 'CREATE TABLE a (i int);', '1_a/down.sql' => "DROP TABLE a;\nDO \$\$ BEGIN END \$;\n",
	'2_b/up.sql' => 'ALTER TABLE a ADD b int;', '2_b/down.sql' => 'ALTER TABLE a DROP b;');
files($dir, '3_c/up.sql' => 'CREATE TABLE c ();', '3_c/down.sql' => 'DROP TABLE c WHAT;');
($rc, $out, $err) = upg('plan', '-d', $db, $dir);
is($rc, 0, 'plan says as up does that a down script is no reason to apply nothing') or diag $err;
like($out, qr/^  1  1_a  1 statement[^\n]*, undo\n  2  2_b [^\n]*, undo and a down script\n  3  3_c [^\n]*, undo\b/m, '... and what the way back is');
is(scalar(() = $err =~ /the down script of migration "\w+" cannot be run: \S+down\.sql:\d/g), 2, '... with warnings that tell the places');
($rc, $out, $err) = upg('plan', '-d', $db, '--undo=none', $dir);
is($rc, 2, 'where it is the only way back, one that is not closed is a fault, as for up');
unlike($out, qr/3_c  cannot run/, '... and one with a syntax error is not');
($rc, $out, $err) = upg('up', '-d', $db, '--undo=none', $dir);
is($rc, 2, 'without an undo, a down script that is not closed is refused');
like($err, qr{1_a/down\.sql:2}, '... with its line');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 0, 'with one it is left out') or diag $err;
like($err, qr/the down script of migration "1_a" cannot be run: unterminated dollar-quoted string/, '... with a warning');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
like($out, qr/nothing to do/, '... and applied is applied');
($rc, $out, $err) = upg('down', '-d', $db, '--all');
is($rc, 0, '... and taken back') or diag $err;
is(sql($db, q{SELECT to_regclass('a') IS NULL}), 't', '... wholly');
done_testing();
