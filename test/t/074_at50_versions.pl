# Library, install script and command line of different versions: nothing is touched,
# and the message says what to do.  (There is no past version yet, so the difference
# is made by hand.)
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Test::More;
use UpgTest;

server_start();
my $db = database('versions');
my $version = sql($db, 'SELECT upg_library_version()');
is(sql($db, q{SELECT extversion FROM pg_extension WHERE extname = 'upg'}), $version, 'library and install script agree');
my $dir = files(workdir(), '1_a.sql' => 'CREATE TABLE a (i int);', '1_a.down.sql' => 'DROP TABLE a;', '2_b.sql' => 'CREATE TABLE b (i int);');
sql($db, q{SELECT upg_apply('before', 'SELECT 1', 'SELECT 2')});
my $books = 'SELECT count(*), (SELECT count(*) FROM upg.attempts), (SELECT count(*) FROM upg.audit_log) FROM upg.migrations';
my $was   = sql($db, $books);
sql($db, q{UPDATE pg_extension SET extversion = '0.0.9' WHERE extname = 'upg'});

for my $call (
    q{upg_apply('x', 'SELECT 1')}, q{upg_register('x', 'SELECT 1')}, q{upg_adopt('x', 'SELECT 1')}, q{upg_rollback('before')},
    q{upg_begin('x', 'SELECT 1')}, q{upg_upgrade_start('up', '{}')}, q{upg_repair('before', 'applied', 'x')}, q{upg_forget_registration('before')})
{
    my ($name) = $call =~ /^(\w+)/;
    my $error = eval { sql($db, "\\set VERBOSITY verbose\nSELECT $call;"); '' } // $@;
    like($error, qr/ERROR:  UP013: library and install script of upg differ in version.*library is \Q$version\E.*is 0\.0\.9.*ALTER EXTENSION upg UPDATE TO '\Q$version\E'/s,
        "$name() refuses");
}
my ($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 1, 'upg up: exit 1');
like($err, qr/differ in version/, '... says so');
like($err, qr/ALTER EXTENSION upg UPDATE TO '\Q$version\E'/, '... and what to do');
($rc, $out, $err) = upg('status', '-d', $db);
isnt($rc, 0, 'upg status refuses, too');
is(sql($db, $books), $was, 'nothing was written');

sql($db, "UPDATE pg_extension SET extversion = '$version' WHERE extname = 'upg'");
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 0, 'with equal versions it goes on') or diag $err;
is(sql($db, 'SELECT ok FROM upg_audit_verify()'), 't', 'the audit trail is whole');
done_testing();
