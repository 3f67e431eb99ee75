# psql commands, variables, COPY data, and files that the client streams.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Test::More;
use UpgTest;

server_start();
my $db  = database('p');
my $dir = files(
	workdir(),
	'1_vars.sql' => "\\set tab 'a'\n\\set n 5\nCREATE TABLE :tab (i int, t text);\n"
	  . "INSERT INTO :\"tab\" VALUES (:n, :'note'), ((ARRAY[1,2,3])[2], 'x:n'::text);\n"
	  . "\\if :{?note}\nINSERT INTO a VALUES (10, 'if');\n\\else\nboom;\n\\endif\n\\if false\nnonsense 'unclosed is fine' ;\n\\elif true\nINSERT INTO a VALUES (11, 'elif');\n\\endif\n\\echo done with :tab\n\\qecho it isn't over\n",
	'2_include.sql' => "\\ir inc/part.sql\nINSERT INTO a VALUES (20, 'after');\n",
	'inc/part.sql'  => "INSERT INTO a VALUES (19, 'included')",
	'3_copy.sql'    => "CREATE TABLE c (i int, t text);\nCOPY c FROM stdin;\n1\tone; '\n2\t\$\$two\n\\.\nINSERT INTO c VALUES (3, 'three');\n"
	  . "COPY c (i, t) FROM STDIN WITH (FORMAT csv);\n4,four\n\\.\n\\copy c from 'data.txt' with (format csv)\n"
	  . "SELECT pg_catalog.set_config('search_path', '', false);\n",    # as pg_dump does, and for this file only
	'data.txt' => "5,five\n6,six\n",
	'4_dump.sql' => "\\restrict abc\nSET client_encoding = 'UTF8';\nCREATE FUNCTION f() RETURNS int\n    LANGUAGE sql\n    BEGIN ATOMIC\n SELECT CASE WHEN true THEN 1 END;\nEND;\n"
	  . "CREATE FUNCTION g() RETURNS text LANGUAGE sql AS \$_\$ SELECT ';'' \$\$ \\x'; \$_\$;\n/* a /* nested; */ comment */\n\\unrestrict abc\n");
my ($rc, $out, $err) = upg('up', '-d', $db, '--set', "note=it's", $dir);
is($rc, 0, 'psql scripts go up') or diag $err;
like($err, qr/done with a/, '\echo is shown');
like($err, qr/it isn't over/, 'an apostrophe in what is shown does not begin a string');
is(sql($db, 'SELECT string_agg(i || t, \',\' ORDER BY i, t) FROM a'),
	q{2x:n,5it's,10if,11elif,19included,20after}, 'variables, \if and \ir did what psql does');
is(sql($db, 'SELECT string_agg(i || t, \',\' ORDER BY i) FROM c'),
	q{1one; ',2$$two,3three,4four,5five,6six}, 'COPY data and \copy');
is(sql($db, 'SELECT f()'), 1, 'a BEGIN ATOMIC body');
is(sql($db, q{SELECT count(*) FROM upg_status() WHERE state = 'applied'}), 4, 'all four are in the books');
($rc, $out, $err) = upg('up', '-d', $db, '--set', "note=it's", $dir);
like($out, qr/nothing to do: 4 applied/, 'again: nothing to do') or diag $err;

# what psql makes of the same files
SKIP:
{
	my $same = database('same');
	my $rcp  = 0;
	chdir $dir;
	for my $file (qw(1_vars.sql 2_include.sql 3_copy.sql 4_dump.sql))
	{
		$rcp ||= system("psql -Xq -v ON_ERROR_STOP=1 -v \"note=it's\" -d $same -f $file > psql.out 2>&1");
	}
	chdir '/';
	is($rcp, 0, 'psql runs the same files') or diag slurp("$dir/psql.out");
	my @dumps = map { `pg_dump -d $_ -n public --exclude-table='upg*'` =~ s/^\\(un)?restrict.*\n//mgr } ($db, $same);
	is($dumps[0], $dumps[1], 'and the databases are equal');
}

# temporary tables end with their file: the next one has others, or means what they hid
$dir = files(workdir(),
	'1.sql' => "CREATE TABLE u (i int);\nCREATE TEMP TABLE tmp AS SELECT 1 AS a;\nINSERT INTO u SELECT a FROM tmp;\n",
	'2.sql' => "create temporary table tmp as select 2 as b;\ncreate temporary table u as select b from tmp;\n",
	'3.sql' => "INSERT INTO u VALUES (3);\nCREATE TEMP TABLE u (i int);\nCOPY u FROM stdin;\n4\n\\.\n",
	'4.sql' => "INSERT INTO u VALUES (5);\n");
$db = database('temporary');
for my $options ([], ['--single-transaction'])
{
	($rc, $out, $err) = upg('up', '-d', $db, @$options, $dir);
	is($rc, 0, "files with temporary tables of the same names go up @$options") or diag $err;
	is(sql($db, q{SELECT string_agg(i::text, ',' ORDER BY i) FROM u}), '1,3,5', 'each file means the table that is there');
	($rc, $out, $err) = upg('down', '-d', $db, '--all', '--yes');
	is($rc, 0, 'and are taken back') or diag $err;
}

# a failure in COPY data leaves nothing and is recorded
$dir = files(workdir(), '1_bad.sql' => "CREATE TABLE d (i int);\nCOPY d FROM stdin;\n1\nx\n\\.\n");
$db  = database('bad');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 1, 'bad COPY data fails');
like($err, qr/1_bad\.sql:2:1/, 'the error names file and line');
is(sql($db, q{SELECT to_regclass('d') IS NULL}), 't', 'nothing is left');
is(sql($db, q{SELECT state || ' ' || sqlstate || ' ' || line FROM upg_history()}), 'failed 22P02 2', 'the attempt is in the history');
files($dir, '1_bad.sql' => "CREATE TABLE d (i int);\nCOPY d FROM stdin;\n1\n2\n\\.\n");
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 0, 'mended, it goes up') or diag $err;

# the isolation level that a file asks for, whoever drives it
my $level = q{current_setting('transaction_isolation')};
$dir = files(
	workdir(),
	'1_copy.sql'  => "BEGIN;\nSET TRANSACTION ISOLATION LEVEL REPEATABLE READ;\nCREATE TABLE l AS SELECT 1 AS no, $level AS level;\nCOPY l FROM stdin;\n2\tdata\n\\.\nCOMMIT;\n",
	'2_begin.sql' => "START TRANSACTION ISOLATION LEVEL SERIALIZABLE;\nCOPY l FROM stdin;\n3\tdata\n\\.\nINSERT INTO l VALUES (4, $level);\nEND;\n",
	'3_plain.sql' => "BEGIN;\nSET TRANSACTION ISOLATION LEVEL REPEATABLE READ;\nSET LOCAL statement_timeout = 0;\nINSERT INTO l VALUES (5, $level);\nCOMMIT;\n",
	'4_none.sql'  => "COPY l FROM stdin;\n6\tdata\n\\.\nINSERT INTO l VALUES (7, $level);\n");
$db = database('levels');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 0, 'files with an isolation level go up') or diag $err;
is(sql($db, q{SELECT string_agg(no || level, ',' ORDER BY no) FROM l}),
	'1repeatable read,2data,3data,4serializable,5repeatable read,6data,7read committed', '... each at its own');
is(sql($db, q{SELECT string_agg(undo, ',') FROM upg_status()}), 'exact,exact,exact,exact', '... with their undo');
($rc, $out, $err) = upg('down', '-y', '--all', '-d', $db);
is($rc, 0, '... and down again') or diag $err;
is(sql($db, q{SELECT to_regclass('l') IS NULL}), 't', '... to where it began');

# refused before anything runs
my %refused = (
	"SELECT 1;\n\\gexec\n"            => [ qr/\\gexec is not supported/, 2 ],
	"\\connect other\n"               => [ qr/\\connect is not supported/, 1 ],
	"\\! rm -rf /tmp/x\n"             => [ qr/\\! is not supported/, 1 ],
	"\n\\set x `id`\n"                => [ qr/backquotes/, 2 ],
	"\\if true\nSELECT 1;\n"          => [ qr/\\if without \\endif/, 1 ],
	"\\endif\n"                       => [ qr/\\endif without \\if/, 1 ],
	"\\if maybe\n\\endif\n"           => [ qr/invalid condition "maybe"/, 1 ],
	"\\copy a to 'x'\n"               => [ qr/only \\copy ... from/, 1 ],
	"\\copy a from program 'id'\n"    => [ qr/from program is not supported/, 1 ],
	"\\ir nonesuch.sql\n"             => [ qr/could not open file/, 1 ],
	"\\ir 2_x.sql\n"                  => [ qr/includes itself/, 1 ],
	"SELECT 1;\nSELECT 1 \\g out\n"   => [ qr/\\g is not supported/, 2 ],
	"COPY a FROM stdin;\n1\n\\.\nCREATE INDEX CONCURRENTLY x ON a (i);\n" => [ qr/cannot hold this statement/, 4 ],
	"COPY a FROM stdin;\n1\n\\.\nCOMMIT;\n" => [ qr/must be a single transaction/, 4 ]);
$db = database('refused');
for my $text (sort keys %refused)
{
	my ($what, $line) = @{ $refused{$text} };
	my $bad = files(workdir(), '1_good.sql' => 'CREATE TABLE a (i int);', '2_x.sql' => $text);
	($rc, $out, $err) = upg('up', '-d', $db, $bad);
	(my $shown = $text) =~ s/\n/ /g;
	is($rc, 2, "refused: $shown");
	like($err, $what, '... for its reason');
	like($err, qr/2_x\.sql:$line/, '... with its line');
}
is(sql($db, q{SELECT to_regclass('a') IS NULL}), 't', 'not one statement ran');

# BEGIN ... COMMIT around COPY, as dumps have it
$dir = files(workdir(), '1_a.sql' => "BEGIN;\nCREATE TABLE a (i int);\nCOPY a FROM stdin;\n7\n\\.\nCOMMIT;\n");
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 0, 'an outer BEGIN and COMMIT around COPY') or diag $err;
is(sql($db, 'SELECT i FROM a'), 7, 'did it');

# streamed: larger than --stream-above
$dir = workdir();
files($dir, '1_big.sql' => "CREATE TABLE big (i int, t text);\n" . join('', map { "INSERT INTO big VALUES ($_, 'é" . ('x' x 100) . "');\n" } 1 .. 2000));
$db = database('streamed');
($rc, $out, $err) = upg('up', '-d', $db, '--stream-above=64kB', $dir);
is($rc, 0, 'a streamed file goes up') or diag $err;
is(sql($db, 'SELECT count(*) FROM big'), 2000, 'with all its rows');
is(sql($db, 'SELECT up_sql IS NULL, up_size > 200000 FROM upg.migrations'), 't|t', 'its text is not stored, its size is');
($rc, $out, $err) = upg('up', '-d', $db, '--stream-above=64kB', $dir);
like($out, qr/nothing to do/, 'streamed again: nothing to do') or diag $err;
($rc, $out, $err) = upg('status', '-d', $db, $dir);
like($out, qr/1 applied, 0 pending/, 'the checksum is that of the bytes, streamed or not') or diag $out;

# ... with both directions in one file
$dir = files(workdir(), '1_both.sql' => "\xef\xbb\xbf-- migrate:up\nCREATE TABLE both_ways (i int, t text);\n"
	. join('', map { "INSERT INTO both_ways VALUES ($_, '" . ('x' x 100) . "');\n" } 1 .. 2000) . "-- migrate:down\nDROP TABLE both_ways;\n");
$db = database('marked');
($rc, $out, $err) = upg('up', '-d', $db, '--stream-above=64kB', $dir);
is($rc, 0, 'a streamed file with markers goes up') or diag $err;
is(sql($db, 'SELECT count(*) FROM both_ways'), 2000, '... as far as its first part');
is(sql($db, 'SELECT up_sql IS NULL, down_sql FROM upg.migrations'), "t|-- migrate:down\nDROP TABLE both_ways;\n", '... the way back is stored') or diag sql($db, 'SELECT * FROM upg.migrations');
($rc, $out, $err) = upg('status', '-d', $db, $dir);
like($out, qr/1 applied, 0 pending/, '... its checksum is that of the part, streamed or not') or diag $out;
($rc, $out, $err) = upg('down', '-d', $db);
is($rc, 0, '... and is taken back') or diag $err;
is(sql($db, q{SELECT to_regclass('both_ways') IS NULL}), 't', '... by its second part');

# a way back is stored in the ledger and run there, without a client
$dir = files(workdir(), '1_c.up.sql' => 'CREATE TABLE c (i int);', '1_c.down.sql' => "COPY c FROM stdin;\n1\n\\.\n");
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 2, 'COPY data in a way back: refused');
like($err, qr/a down script cannot hold COPY .* FROM stdin.*1_c\.down\.sql.*hint: Use INSERT/s, '... with what to do');
is(sql($db, q{SELECT to_regclass('c') IS NULL}), 't', '... before anything ran');
done_testing();
